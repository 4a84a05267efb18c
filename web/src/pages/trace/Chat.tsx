/** A span's conversation, as people read one. */
import { useState } from "preact/hooks";
import type { SpanDetail } from "../../api/client";
import { formatExact, plural } from "../../state/format";
import { prefs, setPrefs } from "../../state/prefs";
import { type ChatMessage, type ChatPart, type ToolCallPart } from "../../trace/chat";
import { Icon, type IconName } from "../../ui/icons";
import { CopyButton } from "../../ui/kit";
import { Json } from "../../ui/Json";
import { lazy } from "../../ui/lazy";
import { LongText } from "../../ui/LongText";
import { Media, MediaOf } from "./Media";

const Markdown = lazy(() => import("../../ui/Markdown").then((module) => module.Markdown));

/** More messages than this are folded: the last ones matter most, and the document stays small. */
const MOST = 30;
/** Of system prompts, which people have seen before, only so many characters stand there at first. */
const SYSTEM_MOST = 280;

export function Chat({ span, messages }: { span: SpanDetail; messages: ChatMessage[] }) {
  const [all, setAll] = useState(false);
  const hidden = all ? 0 : Math.max(0, messages.length - MOST);
  const shown = hidden ? [...messages.slice(0, 1), ...messages.slice(hidden + 1)] : messages;
  return (
    <div class="chat">
      <div class="chat-bar">
        <span class="muted num">{plural(messages.length, "message")}</span>
        {messages.length > 3 && messages.some((message) => message.side === "output") && (
          <button type="button" class="link chat-jump" onClick={(event) => event.currentTarget.closest(".chat")?.querySelector(".side-output")?.scrollIntoView({ block: "start" })}>
            To the answer
          </button>
        )}
        <span class="grow" />
        <label class="chat-toggle">
          <input type="checkbox" checked={prefs.value.markdown} onChange={(event) => setPrefs({ markdown: event.currentTarget.checked })} />
          Markdown in answers
        </label>
      </div>
      {span.tool_definitions.length > 0 && <ToolsOffered tools={span.tool_definitions} />}
      {shown.map((message, index) => (
        <>
          {hidden > 0 && index === 1 && (
            <button type="button" class="chat-more" onClick={() => setAll(true)}>
              Show {plural(hidden, "earlier message")}
            </button>
          )}
          <Message key={index} message={message} />
        </>
      ))}
      {Object.keys(span.parameters).length > 0 && (
        <details class="fold">
          <summary>Parameters</summary>
          <Json value={span.parameters} />
        </details>
      )}
    </div>
  );
}

const ROLES: Record<string, { name: string; icon: IconName }> = {
  system: { name: "System", icon: "setup" },
  developer: { name: "Developer", icon: "setup" },
  user: { name: "User", icon: "user" },
  assistant: { name: "Assistant", icon: "llm" },
  tool: { name: "Tool result", icon: "tool" },
};

function Message({ message }: { message: ChatMessage }) {
  const role = ROLES[message.role] ?? { name: message.role || "Message", icon: "chat" as IconName };
  const text = message.parts.map((part) => (part.kind === "text" ? part.text : "")).filter(Boolean).join("\n\n");
  return (
    <article class={`message role-${ROLES[message.role] ? message.role : "other"} side-${message.side}`}>
      <header>
        <Icon name={role.icon} size={13} />
        <h3>{role.name}</h3>
        {message.name && <span class="muted">{message.name}</span>}
        {message.finish && message.finish !== "stop" && <span class={message.finish === "length" || message.finish === "content_filter" ? "chip chip-warn" : "chip"}>{message.finish}</span>}
        <span class="grow" />
        {text && <CopyButton text={text} label="Copy the text" />}
      </header>
      <div class="message-parts">
        {message.parts.length === 0 && <p class="muted">(empty)</p>}
        {message.parts.map((part, index) => (
          <Part key={index} part={part} role={message.role} />
        ))}
      </div>
    </article>
  );
}

function Part({ part, role }: { part: ChatPart; role: string }) {
  switch (part.kind) {
    case "text":
      return prefs.value.markdown && role === "assistant" ? <Markdown text={part.text} /> : <LongText text={part.text} most={role === "system" ? SYSTEM_MOST : undefined} />;
    case "reasoning":
      return (
        <details class="reasoning">
          <summary>
            Reasoning <span class="muted num">{formatExact(part.text.length)} characters</span>
          </summary>
          <LongText text={part.text} />
        </details>
      );
    case "call":
      return <ToolCall call={part} />;
    case "result":
      return (
        <div class="tool-result">
          <Value value={part.result} />
        </div>
      );
    case "media":
      return <Media media={part} />;
    default:
      return (
        <div class="part-other">
          <span class="chip">{part.type}</span>
          <Json value={part.value} />
        </div>
      );
  }
}

function ToolCall({ call }: { call: ToolCallPart }) {
  return (
    <div class="tool-call">
      <div class="tool-call-head">
        <Icon name="tool" size={13} />
        <b class="mono">{call.name}</b>
        {call.id && <span class="muted mono ellipsis tool-call-id">{call.id}</span>}
      </div>
      <Value value={call.args} />
      {call.result !== undefined && (
        <div class="tool-call-result">
          <p class="tool-call-label">Result</p>
          <Value value={call.result} />
        </div>
      )}
    </div>
  );
}

/** JSON as a tree, text as text, and the media that it refers to. */
export function Value({ value }: { value: unknown }) {
  if (value === undefined || value === null || value === "") return <p class="muted">(nothing)</p>;
  return (
    <>
      {typeof value === "string" ? <LongText text={value} mono /> : <Json value={value} />}
      <MediaOf value={value} />
    </>
  );
}

function ToolsOffered({ tools }: { tools: unknown[] }) {
  return (
    <details class="fold">
      <summary>
        {plural(tools.length, "tool")} offered <span class="muted">{tools.map(toolName).filter(Boolean).slice(0, 6).join(", ")}</span>
      </summary>
      <Json value={tools} />
    </details>
  );
}

function toolName(tool: unknown): string {
  const loose = tool as { name?: unknown; function?: { name?: unknown } } | null;
  const name = loose?.name ?? loose?.function?.name;
  return typeof name === "string" ? name : "";
}
