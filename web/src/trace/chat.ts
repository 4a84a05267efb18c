/** A span's messages as a conversation: parts brought to known shapes, tool calls paired with their results. */

import { type Stored, storedOf } from "./media";

export interface TextPart {
  kind: "text" | "reasoning";
  text: string;
}

export interface ToolCallPart {
  kind: "call";
  id: string;
  name: string;
  args: unknown;
  /** Undefined while no result is in the conversation. */
  result?: unknown;
}

export interface ToolResultPart {
  kind: "result";
  id: string;
  result: unknown;
}

export interface MediaPart {
  kind: "media";
  mime: string;
  /** A data address, a link, or empty when only a file's id is known. */
  url: string;
  label: string;
  /** Where they lie apart from the span; `url` is empty then. */
  stored?: Stored;
}

export interface OtherPart {
  kind: "other";
  type: string;
  value: unknown;
}

export type ChatPart = TextPart | ToolCallPart | ToolResultPart | MediaPart | OtherPart;

export interface ChatMessage {
  role: string;
  name: string;
  /** Whether it was said to the model or by it. */
  side: "input" | "output";
  finish: string;
  parts: ChatPart[];
}

interface Messages {
  system_instructions: unknown[];
  input_messages: unknown[];
  output_messages: unknown[];
}

type Loose = Record<string, unknown>;

/** Builds the conversation of a span. A result that belongs to a call above stands with that call alone. */
export function conversation(span: Messages): ChatMessage[] {
  const messages: ChatMessage[] = [];
  const system = span.system_instructions.map(toPart);
  if (system.length) messages.push({ role: "system", name: "", side: "input", finish: "", parts: system });
  for (const message of span.input_messages) messages.push(toMessage(message, "input"));
  for (const message of span.output_messages) messages.push(toMessage(message, "output"));
  pair(messages);
  return messages.filter((message) => message.parts.length > 0 || message.side === "output");
}

function pair(messages: ChatMessage[]): void {
  const open = new Map<string, ToolCallPart>();
  for (const message of messages) {
    message.parts = message.parts.filter((part) => {
      if (part.kind === "call" && part.id) open.set(part.id, part);
      if (part.kind !== "result") return true;
      const call = open.get(part.id);
      if (!call || call.result !== undefined) return true;
      call.result = part.result;
      return false;
    });
  }
}

function toMessage(message: unknown, side: "input" | "output"): ChatMessage {
  if (typeof message !== "object" || message === null) {
    return { role: side === "input" ? "user" : "assistant", name: "", side, finish: "", parts: [toPart(message)] };
  }
  const loose = message as Loose;
  const parts = Array.isArray(loose.parts) ? loose.parts : loose.content === undefined ? [] : [loose.content];
  return {
    role: word(loose.role) || (side === "input" ? "user" : "assistant"),
    name: word(loose.name),
    side,
    finish: word(loose.finish_reason),
    parts: parts.map(toPart),
  };
}

function toPart(part: unknown): ChatPart {
  if (typeof part !== "object" || part === null) return { kind: "text", text: textOf(part) };
  const loose = part as Loose;
  const type = word(loose.type);
  switch (type) {
    case "text":
      return { kind: "text", text: textOf(loose.content ?? loose.text) };
    case "reasoning":
    case "thinking":
      return { kind: "reasoning", text: textOf(loose.content ?? loose.text ?? loose.thinking) };
    case "tool_call":
      return { kind: "call", id: word(loose.id), name: word(loose.name) || "tool", args: parsed(loose.arguments) };
    case "tool_call_response":
      return { kind: "result", id: word(loose.id), result: parsed(loose.response ?? loose.result ?? loose.content) };
    case "blob":
      return blob(loose);
    case "uri":
      return linked(loose);
    case "file":
      return { kind: "media", mime: word(loose.mime_type) || modality(loose), url: "", label: word(loose.filename) || word(loose.file_id) || "file" };
    default:
      return { kind: "other", type: type || "part", value: part };
  }
}

function blob(loose: Loose): MediaPart {
  const mime = word(loose.mime_type) || modality(loose);
  const data = word(loose.content) || word(loose.data);
  const url = data.startsWith("data:") ? data : data ? `data:${mime.includes("/") ? mime : "application/octet-stream"};base64,${data}` : "";
  return { kind: "media", mime, url, label: mime };
}

function linked(loose: Loose): MediaPart {
  const uri = word(loose.uri);
  const mime = word(loose.mime_type) || modality(loose);
  const stored = storedOf(uri, loose.size_bytes, loose.truncated);
  return stored ? { kind: "media", mime, url: "", label: mime, stored } : { kind: "media", mime, url: uri, label: uri };
}

function modality(loose: Loose): string {
  const word_ = word(loose.modality);
  return word_ === "image" ? "image/png" : word_ || "application/octet-stream";
}

/** Only these are drawn from data in a message; SVG is left out because it can hold scripts and links. */
export function isSafeImage(url: string): boolean {
  return /^data:image\/(png|jpe?g|gif|webp|avif|bmp);base64,/i.test(url);
}

/** Only web addresses become links. */
export function isWebLink(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** Parses a text that holds a JSON object or array; anything else stays as it is. */
export function parsed(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function word(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value, null, 2);
}
