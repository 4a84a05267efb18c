/** A row of the list: a trace or a span, brought to one shape. */
import type { ScoreSummary, SpanItem, TraceItem } from "../../api/client";

export interface Row {
  key: string;
  traceId: string;
  /** Empty for a trace. */
  spanId: string;
  time: string;
  name: string;
  category: string;
  error: boolean;
  errorText: string;
  models: string[];
  input: string;
  output: string;
  inputTokens: number | null;
  outputTokens: number | null;
  costUsd: string | null;
  costStatus: string;
  durationMs: number;
  ttftMs: number | null;
  session: string;
  user: string;
  tags: string[];
  environment: string;
  release: string;
  services: string[];
  scores: Record<string, ScoreSummary>;
  spanCount: number | null;
  errorCount: number;
  complete: boolean;
}

/** Brings a trace to a row. */
export function traceRow(trace: TraceItem): Row {
  return {
    key: trace.trace_id,
    traceId: trace.trace_id,
    spanId: "",
    time: trace.start_time,
    name: trace.name,
    category: "",
    error: trace.status_code === "error" || trace.error_count > 0,
    errorText: trace.error_types.join(", "),
    models: trace.models,
    input: trace.input_preview,
    output: trace.output_preview,
    inputTokens: trace.input_tokens,
    outputTokens: trace.output_tokens,
    costUsd: trace.cost_usd,
    costStatus: trace.cost_status,
    durationMs: trace.duration_ms,
    ttftMs: trace.ttft_ms,
    session: trace.session_id,
    user: trace.user_id,
    tags: trace.tags,
    environment: trace.environment,
    release: trace.release,
    services: trace.services,
    scores: trace.scores,
    spanCount: trace.span_count,
    errorCount: trace.error_count,
    complete: trace.complete,
  };
}

/** Brings a span to a row. */
export function spanRow(span: SpanItem): Row {
  return {
    key: `${span.trace_id}/${span.span_id}`,
    traceId: span.trace_id,
    spanId: span.span_id,
    time: span.start_time,
    name: span.name,
    category: span.category,
    error: span.status_code === "error",
    errorText: span.error_type,
    models: span.model ? [span.model] : [],
    input: span.input_preview,
    output: span.output_preview,
    inputTokens: span.input_tokens,
    outputTokens: span.output_tokens,
    costUsd: span.cost_usd,
    costStatus: span.cost_status,
    durationMs: span.duration_ms,
    ttftMs: span.ttft_ms,
    session: span.session_id,
    user: span.user_id,
    tags: span.tags,
    environment: span.environment,
    release: span.release,
    services: span.service_name ? [span.service_name] : [],
    scores: span.scores,
    spanCount: null,
    errorCount: span.status_code === "error" ? 1 : 0,
    complete: true,
  };
}

/** Merges rows that just arrived into the list: known ones are renewed in place, new ones go to the top. */
export function mergeRows(rows: Row[], arrived: Row[]): { rows: Row[]; added: number } {
  const fresh = new Map(arrived.map((row) => [row.key, row]));
  const renewed = rows.map((row) => {
    const newer = fresh.get(row.key);
    if (newer) fresh.delete(row.key);
    return newer ?? row;
  });
  const added = [...fresh.values()].sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0));
  return { rows: [...added, ...renewed], added: added.length };
}
