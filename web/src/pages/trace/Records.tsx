/** Events, links, scores, and the span as the API gives it. */
import { useMemo, useState } from "preact/hooks";
import { apiRoot, type SpanDetail } from "../../api/client";
import { href, place } from "../../router";
import { formatBytes, formatDuration, formatFull, formatScore } from "../../state/format";
import { Button, CopyButton } from "../../ui/kit";
import { Json } from "../../ui/Json";
import { AttributeList } from "./Attributes";

export function Events({ span }: { span: SpanDetail }) {
  if (!span.events.length && !span.links.length) return <p class="panel-empty muted">No events were recorded.</p>;
  const start = Date.parse(span.start_time);
  return (
    <div class="events">
      {span.events.map((event, index) => (
        <section key={index} class={`event${event.name === "exception" ? " event-error" : ""}`}>
          <header>
            <h3>{event.name || "(no name)"}</h3>
            <time class="muted num" dateTime={event.time} title={formatFull(event.time)}>
              +{formatDuration(Math.max(0, Date.parse(event.time) - start))}
            </time>
          </header>
          <AttributeList entries={Object.entries(event.attributes)} />
        </section>
      ))}
      {span.links.length > 0 && (
        <section class="event">
          <header>
            <h3>Links</h3>
          </header>
          {span.links.map((link) => (
            <p key={`${link.trace_id}${link.span_id}`} class="mono">
              <a href={href("trace", { id: link.trace_id, span: link.span_id })}>{link.trace_id === place.value.params.get("id") ? `span ${link.span_id}` : `trace ${link.trace_id}`}</a>
            </p>
          ))}
        </section>
      )}
      {(span.dropped_events > 0 || span.dropped_links > 0) && (
        <p class="muted">
          The sender dropped {span.dropped_events} events and {span.dropped_links} links.
        </p>
      )}
    </div>
  );
}

export function Scores({ span }: { span: SpanDetail }) {
  if (!span.scores.length) {
    return <p class="panel-empty muted">No scores on this span. The SDK's score(), judges and people put them here.</p>;
  }
  return (
    <div class="scores">
      {span.scores.map((score) => (
        <section key={score.id} class="score">
          <header>
            <h3>{score.name}</h3>
            <b class="num">{formatScore(score.value, score.label)}</b>
            {score.value !== null && score.label && <span class="chip">{score.label}</span>}
            <span class="grow" />
            <span class="muted">
              {score.source}
              {score.evaluator ? `, ${score.evaluator}` : ""}
            </span>
          </header>
          {score.explanation && <p>{score.explanation}</p>}
          <time class="muted num" dateTime={score.created_at}>
            {formatFull(score.created_at)}
          </time>
        </section>
      ))}
    </div>
  );
}

/** Larger spans are shown only when asked for: a browser takes long over them. */
const GATE_BYTES = 300_000;

export function Raw({ span, onSelect }: { span: SpanDetail; onSelect: (spanId: string) => void }) {
  const [anyway, setAnyway] = useState(false);
  const text = useMemo(() => JSON.stringify(span, null, 2), [span]);
  const download = () => {
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = `span-${span.span_id}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  };
  return (
    <div class="raw">
      <div class="raw-bar">
        <span class="muted num">{formatBytes(text.length)}</span>
        <span class="grow" />
        {span.parent_span_id && (
          <Button look="outline" onClick={() => onSelect(span.parent_span_id)}>
            Go to the parent
          </Button>
        )}
        <CopyButton text={text} look="outline" label="Copy as JSON">
          Copy
        </CopyButton>
        <Button look="outline" icon="download" onClick={download}>
          Download
        </Button>
        <a class="btn btn-outline" href={`${apiRoot}api/v1/traces/${span.trace_id}/spans/${span.span_id}`} target="_blank" rel="noopener">
          Open
        </a>
      </div>
      {text.length > GATE_BYTES && !anyway ? (
        <p class="panel-empty muted">
          This span is {formatBytes(text.length)} of JSON, which browsers are slow to show.{" "}
          <button type="button" class="link" onClick={() => setAnyway(true)}>
            Show it anyway
          </button>
        </p>
      ) : (
        <Json value={span} open={1} />
      )}
    </div>
  );
}
