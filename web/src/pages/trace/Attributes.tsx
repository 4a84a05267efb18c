/** Every field and attribute of a span, with a filter over names and values. */
import { useState } from "preact/hooks";
import type { SpanDetail } from "../../api/client";
import { formatFull } from "../../state/format";
import { copyText } from "../../ui/kit";
import { LongText } from "../../ui/LongText";

type Entry = [string, unknown];

/** The canonical fields that say something and are shown nowhere else as they are. */
function canonical(span: SpanDetail): Entry[] {
  const entries: Entry[] = [
    ["name", span.name],
    ["category", span.category],
    ["operation", span.operation],
    ["kind", span.kind],
    ["status", span.status_code],
    ["status message", span.status_message],
    ["error type", span.error_type],
    ["start", formatFull(span.start_time)],
    ["end", formatFull(span.end_time)],
    ["trace id", span.trace_id],
    ["span id", span.span_id],
    ["parent span id", span.parent_span_id],
    ["provider", span.provider],
    ["request model", span.request_model],
    ["response model", span.response_model],
    ["response id", span.response_id],
    ["session", span.session_id],
    ["user", span.user_id],
    ["tags", span.tags.join(", ")],
    ["environment", span.environment],
    ["release", span.release],
    ["prompt", [span.prompt_name, span.prompt_version].filter(Boolean).join(" ")],
    ["service", span.service_name],
    ["host", span.host_name],
    ["first token from", span.ttft_source],
    ["usage basis", span.usage.basis],
    ["dialect", span.dialect],
    ["mended", span.flags.join(", ")],
    ...Object.entries(span.metadata).map(([key, value]): Entry => [`metadata.${key}`, value]),
  ];
  if (span.dropped_attributes) entries.push(["dropped attributes", span.dropped_attributes]);
  return entries.filter(([, value]) => value !== "" && value !== undefined);
}

export function Attributes({ span }: { span: SpanDetail }) {
  const [filter, setFilter] = useState("");
  const wanted = filter.trim().toLowerCase();
  const keep = (entries: Entry[]) =>
    wanted ? entries.filter(([name, value]) => name.toLowerCase().includes(wanted) || textOf(value).toLowerCase().includes(wanted)) : entries;
  const groups: [string, Entry[]][] = [
    ["Canonical", keep(canonical(span))],
    ["Attributes as received", keep(Object.entries(span.attributes).sort(([a], [b]) => (a < b ? -1 : 1)))],
    ["Resource", keep(Object.entries(span.resource).sort(([a], [b]) => (a < b ? -1 : 1)))],
    ["Scope", keep(Object.entries({ name: span.scope.name, version: span.scope.version, ...span.scope.attributes }).filter(([, value]) => value !== ""))],
  ];
  return (
    <div class="attributes">
      <input class="text-input" type="text" value={filter} placeholder="Filter names and values" aria-label="Filter names and values" spellcheck={false} onInput={(event) => setFilter(event.currentTarget.value)} />
      {groups.map(([name, entries]) =>
        entries.length ? (
          <section key={name}>
            <h3>
              {name} <span class="muted num">{entries.length}</span>
            </h3>
            <AttributeList entries={entries} />
          </section>
        ) : null,
      )}
      {groups.every(([, entries]) => !entries.length) && <p class="panel-empty muted">Nothing matches.</p>}
    </div>
  );
}

/** Names and values; a click on a name copies its value. */
export function AttributeList({ entries }: { entries: Entry[] }) {
  return (
    <dl class="attribute-list">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>
            <button type="button" class="attribute-name" title="Copy the value" onClick={() => copyText(textOf(value))}>
              {name}
            </button>
          </dt>
          <dd>
            <LongText text={textOf(value)} mono />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}
