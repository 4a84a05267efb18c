/** The selected span: what it did, what it used, what was said. */
import { useEffect, useState } from "preact/hooks";
import { getSpan } from "../../api/calls";
import { ApiError, isAbort, type SpanDetail } from "../../api/client";
import { place, setParams } from "../../router";
import { formatCount, formatDuration, formatErrorType, formatFull } from "../../state/format";
import { conversation } from "../../trace/chat";
import { useDelayed } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Button, CopyButton, Notice, Tabs } from "../../ui/kit";
import { useRetry } from "../../ui/Reach";
import { CategoryMark } from "../traces/columns";
import { Attributes } from "./Attributes";
import { Chat } from "./Chat";
import { InputOutput, ioOf } from "./InputOutput";
import { Events, Raw, Scores } from "./Records";
import { Usage } from "./Usage";

interface Props {
  traceId: string;
  spanId: string;
  /** Changes when the span is to be loaded anew. */
  stamp: number;
  onClose?: () => void;
  onSelect: (spanId: string) => void;
}

/** Loads a span. Moving quickly through the tree asks only for the one that is rested on. */
function useSpan(traceId: string, spanId: string, stamp: number) {
  const [state, setState] = useState<{ span: SpanDetail | null; error: ApiError | null; loading: boolean }>({ span: null, error: null, loading: true });
  const [tries, setTries] = useState(0);
  useRetry(state.error, () => setTries((n) => n + 1));
  useEffect(() => {
    const abort = new AbortController();
    setState((old) => ({ ...old, loading: true, error: null }));
    const timer = setTimeout(
      () =>
        getSpan(traceId, spanId, abort.signal).then(
          (span) => setState({ span, error: null, loading: false }),
          (error) => {
            if (!isAbort(error)) setState({ span: null, loading: false, error: error instanceof ApiError ? error : new ApiError(0, "unexpected", String(error)) });
          },
        ),
      state.span ? 60 : 0,
    );
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [traceId, spanId, stamp, tries]);
  return state;
}

export function Detail({ traceId, spanId, stamp, onClose, onSelect }: Props) {
  const { span, error, loading } = useSpan(traceId, spanId, stamp);
  const stale = useDelayed(loading || span?.span_id !== spanId, 180);
  if (error) {
    return (
      <div class="detail">
        <div class="page-center">
          <Notice kind="error" title={error.status === 404 ? "There is no such span in this trace" : error.message}>
            <p>{error.hint}</p>
            {onClose && <Button look="outline" onClick={onClose}>Close</Button>}
          </Notice>
        </div>
      </div>
    );
  }
  if (!span) return <div class="detail" aria-busy="true" />;
  return (
    <div class={`detail${stale ? " dimmed" : ""}`} aria-busy={loading} role="region" aria-label={`Span ${span.name}`}>
      <Head span={span} onClose={onClose} />
      <Panels key={span.span_id} span={span} onSelect={onSelect} />
    </div>
  );
}

function Head({ span, onClose }: { span: SpanDetail; onClose?: () => void }) {
  const model = span.response_model || span.request_model;
  const facts: [string, string][] = [
    ["Duration", formatDuration(span.duration_ms)],
    ["First token", span.ttft_ms === null ? "" : formatDuration(span.ttft_ms)],
    ["Speed", span.output_tokens_per_s === null ? "" : `${formatCount(Number(span.output_tokens_per_s.toPrecision(3)))} tok/s`],
    ["Model", model],
    ["Provider", span.provider],
    ["Tool", span.tool_name],
    ["Agent", span.agent_name],
    ["Finished", span.finish_reasons.join(", ")],
  ];
  return (
    <div class="detail-head">
      <div class="detail-title">
        <CategoryMark category={span.category} />
        <h2 class="ellipsis" title={span.name}>
          {span.name || "(no name)"}
        </h2>
        {span.status_code === "error" && <span class="chip chip-error" title={span.error_type}>{formatErrorType(span.error_type)}</span>}
        <span class="grow" />
        <CopyButton text={span.span_id} label="Copy the span id" />
        {onClose && <Button icon="close" label="Close the span" onClick={onClose} />}
      </div>
      <dl class="facts">
        {facts.map(([name, value]) =>
          value ? (
            <div key={name} title={name === "Duration" ? `${formatFull(span.start_time)}\nto ${formatFull(span.end_time)}` : value}>
              <dt>{name}</dt>
              <dd class="ellipsis">{value}</dd>
            </div>
          ) : null,
        )}
      </dl>
      {span.status_code === "error" && span.status_message && (
        <p class="detail-error">
          <Icon name="error" size={14} />
          <span>{span.status_message}</span>
        </p>
      )}
      <Usage span={span} />
    </div>
  );
}

function Panels({ span, onSelect }: { span: SpanDetail; onSelect: (spanId: string) => void }) {
  const messages = conversation(span);
  const io = ioOf(span);
  const tabs = [
    ...(messages.length ? [{ id: "chat", name: "Chat" }] : []),
    ...(io.length || span.documents.length || !messages.length ? [{ id: "io", name: "Input / Output" }] : []),
    { id: "attributes", name: "Attributes" },
    { id: "events", name: "Events", count: span.events.length + span.links.length },
    { id: "scores", name: "Scores", count: span.scores.length },
    { id: "raw", name: "Raw" },
  ];
  const wanted = place.value.params.get("tab");
  const active = tabs.find((tab) => tab.id === wanted)?.id ?? (span.documents.length ? "io" : tabs[0].id);
  return (
    <>
      <Tabs label="About the span" panelId="detail-panel" tabs={tabs} active={active} onPick={(tab) => setParams({ tab }, { replace: true })} />
      <div class="detail-panel" id="detail-panel" role="tabpanel" aria-labelledby={`detail-panel-${active}`} tabIndex={0}>
        {span.truncated && active !== "attributes" && (
          <p class="detail-note">
            <Icon name="info" size={14} /> Parts of this span were longer than the limit and were cut.
          </p>
        )}
        {active === "chat" && <Chat span={span} messages={messages} />}
        {active === "io" && <InputOutput parts={io} documents={span.documents} />}
        {active === "attributes" && <Attributes span={span} />}
        {active === "events" && <Events span={span} />}
        {active === "scores" && <Scores span={span} />}
        {active === "raw" && <Raw span={span} onSelect={onSelect} />}
      </div>
    </>
  );
}
