/** What went in and came out of spans that are no conversation. */
import type { SpanDetail } from "../../api/client";
import { formatScore } from "../../state/format";
import { parsed } from "../../trace/chat";
import { CopyButton } from "../../ui/kit";
import { LongText } from "../../ui/LongText";
import { Value } from "./Chat";

export interface IoPart {
  name: "Input" | "Output";
  value: unknown;
}

/** Where emitters put what has no canonical field. */
const INPUT_KEYS = ["spanhouse.input", "input.value", "traceloop.entity.input", "langfuse.observation.input", "gcp.vertex.agent.tool_call_args", "input"];
const OUTPUT_KEYS = ["spanhouse.output", "output.value", "traceloop.entity.output", "langfuse.observation.output", "gcp.vertex.agent.tool_response", "output"];

/** Finds input and output: the canonical fields, else well-known attributes, else the previews. */
export function ioOf(span: SpanDetail): IoPart[] {
  // Of a retrieval the query belongs beside its documents, though it is a message as well.
  const chat = !span.documents.length && span.input_messages.length + span.output_messages.length + span.system_instructions.length > 0;
  const parts: IoPart[] = [];
  const input = span.tool_arguments ?? (chat ? undefined : (fromAttributes(span, INPUT_KEYS) ?? (span.input_preview || undefined)));
  const output = span.tool_result ?? (chat ? undefined : (fromAttributes(span, OUTPUT_KEYS) ?? (span.documents.length ? undefined : span.output_preview || undefined)));
  if (input !== undefined && input !== null) parts.push({ name: "Input", value: parsed(input) });
  if (output !== undefined && output !== null) parts.push({ name: "Output", value: parsed(output) });
  return parts;
}

function fromAttributes(span: SpanDetail, keys: string[]): unknown {
  const key = keys.find((one) => span.attributes[one] !== undefined && span.attributes[one] !== "");
  return key ? span.attributes[key] : undefined;
}

export function InputOutput({ parts, documents }: { parts: IoPart[]; documents: unknown[] }) {
  if (!parts.length && !documents.length) return <p class="panel-empty muted">Neither input nor output was recorded.</p>;
  return (
    <div class="io">
      {parts.map((part) => (
        <section key={part.name} class="io-part">
          <header>
            <h3>{part.name}</h3>
            <CopyButton text={() => (typeof part.value === "string" ? part.value : JSON.stringify(part.value, null, 2))} label={`Copy the ${part.name.toLowerCase()}`} />
          </header>
          <div class="io-box">
            <Value value={part.value} />
          </div>
        </section>
      ))}
      {documents.length > 0 && (
        <section class="io-part">
          <header>
            <h3>Documents</h3>
          </header>
          <ol class="documents">
            {documents.map((document, index) => (
              <Document key={index} document={document} />
            ))}
          </ol>
        </section>
      )}
    </div>
  );
}

function Document({ document }: { document: unknown }) {
  const { id, score, content, metadata } = (typeof document === "object" && document !== null ? document : { content: document }) as Record<string, unknown>;
  const extra = typeof metadata === "object" && metadata !== null && Object.keys(metadata).length > 0;
  return (
    <li class="document">
      <div class="document-head">
        <span class="mono ellipsis">{typeof id === "string" || typeof id === "number" ? String(id) : "document"}</span>
        {typeof score === "number" && <span class="chip num">score {formatScore(score)}</span>}
      </div>
      {content !== undefined && content !== null && <LongText text={typeof content === "string" ? content : JSON.stringify(content, null, 2)} />}
      {extra && <Value value={metadata} />}
    </li>
  );
}
