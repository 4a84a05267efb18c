/** Rules as a form holds them, and back. Pure. */
import type { RuleInput, RuleItem } from "../../api/client";

export type Severity = RuleInput["severity"];
export type NoData = RuleInput["no_data"];

/** A rule as text fields hold it. */
export interface Draft {
  name: string;
  type: string;
  enabled: boolean;
  metric: string;
  q: string;
  groupBy: string;
  window: string;
  every: string;
  lasts: string;
  keep: string;
  severity: Severity;
  params: Record<string, string>;
  noData: NoData;
  channels: string[];
  labels: string;
  note: string;
  managedBy: RuleInput["managed_by"];
}

export interface Param {
  name: string;
  label: string;
  kind: "number" | "time" | "text" | "choice";
  options?: string[];
  note?: string;
}

const LEVELS: Param[] = [
  { name: "above", label: "Breach above", kind: "number", note: "Give this or the next" },
  { name: "below", label: "Breach below", kind: "number" },
  { name: "warning", label: "Warning from", kind: "number", note: "A milder level; may stay empty" },
  { name: "recover", label: "Ends past", kind: "number", note: "May stay empty: at the same level" },
  { name: "aggregate", label: "The window is", kind: "choice", options: ["whole", "avg", "min", "max", "last"], note: "whole: one bucket; else its buckets are folded" },
  { name: "bucket_s", label: "Buckets of", kind: "time" },
];

/** What each kind of rule asks for beside what all have. */
export const PARAMS: Record<string, Param[]> = {
  threshold: LEVELS,
  drift: LEVELS,
  quality: LEVELS,
  scaling: LEVELS,
  no_data: [{ name: "lookback_s", label: "Missed if heard of in the last", kind: "time" }],
  anomaly: [
    { name: "direction", label: "Direction", kind: "choice", options: ["both", "up", "down"] },
    { name: "min_change", label: "At least changed by", kind: "number", note: "0.25: a quarter more, or divided by 1.25" },
    { name: "min_delta", label: "And by at least", kind: "number", note: "in the metric's unit" },
    { name: "min_requests", label: "From so many requests", kind: "number", note: "in a bucket" },
    { name: "deviations", label: "Deviations for a spike", kind: "number" },
    { name: "creep", label: "Bound of slow creep", kind: "number" },
  ],
  budget: [
    { name: "budgets", label: "Budgets", kind: "text", note: "Names with commas between; empty: all" },
    { name: "forecast", label: "Warn of forecasts", kind: "choice", options: ["on", "off"] },
  ],
  burn_rate: [
    { name: "slos", label: "Service levels", kind: "text", note: "Names with commas between; empty: all" },
    { name: "objective", label: "Or an objective of its own", kind: "number", note: "0.99 over the filter above" },
    { name: "indicator", label: "Indicator", kind: "choice", options: ["availability", "latency"] },
    { name: "threshold_ms", label: "Slow from (ms)", kind: "number" },
  ],
};

export const METRICS = [
  "requests", "request_errors/requests", "cost_usd", "cost_usd/requests", "request_duration_ms.p95", "request_duration_ms.p50", "ttft_ms.p95",
  "tpot_ms.p95", "input_tokens/requests", "output_tokens", "refusals/requests", "errors", "traces", "output_tokens_per_s.p50",
];

/** Kinds that need a metric; the others take theirs from elsewhere. */
export function needsMetric(type: string): boolean {
  return type !== "budget" && type !== "burn_rate";
}

const UNITS: [string, number][] = [["w", 604_800], ["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]];

/** Reads "5m", "1h", "90s" or a bare number of seconds; null where it is none. */
export function readSeconds(text: string): number | null {
  const found = /^\s*(\d+(?:\.\d+)?)\s*([wdhms]?)\s*$/i.exec(text);
  if (!found) return null;
  const unit = UNITS.find(([name]) => name === found[2].toLowerCase())?.[1] ?? 1;
  return Math.round(Number(found[1]) * unit);
}

/** Writes seconds in the largest unit that divides them. */
export function writeSeconds(seconds: number): string {
  if (seconds === 0) return "0";
  const [name, size] = UNITS.find(([, one]) => seconds % one === 0) ?? ["s", 1];
  return `${seconds / size}${name}`;
}

export const NEW_RULE: Draft = {
  name: "", type: "threshold", enabled: true, metric: "request_errors/requests", q: "", groupBy: "", window: "5m", every: "1m", lasts: "0", keep: "5m",
  severity: "critical", params: { above: "0.05" }, noData: "ok", channels: [], labels: "", note: "", managedBy: "",
};

/** Brings a rule into a form. */
export function draftOf(rule: RuleItem): Draft {
  const fields = new Map((PARAMS[rule.type] ?? []).map((param) => [param.name, param]));
  const params = Object.entries(rule.params).map(([name, value]) => [name, fields.get(name)?.kind === "time" ? writeSeconds(Number(value)) : String(value)]);
  return {
    name: rule.name,
    type: rule.type,
    enabled: rule.enabled,
    metric: rule.metric,
    q: rule.q,
    groupBy: rule.group_by.join(", "),
    window: writeSeconds(rule.window_s),
    every: writeSeconds(rule.every_s),
    lasts: writeSeconds(rule.for_s),
    keep: writeSeconds(rule.keep_firing_s),
    severity: rule.severity,
    params: Object.fromEntries(params),
    noData: rule.no_data,
    channels: rule.channels,
    labels: Object.entries(rule.labels).map(([name, value]) => `${name}=${value}`).join(", "),
    note: rule.note,
    managedBy: rule.managed_by === "file" ? "file" : "",
  };
}

/** Brings a form into a rule; throws an Error that names the field which cannot be read. */
export function ruleOf(draft: Draft): RuleInput {
  const seconds = (text: string, field: string) => {
    const found = readSeconds(text);
    if (found === null) throw new Error(`${field}: “${text}” is no time; write 90s, 5m or 1h`);
    return found;
  };
  const known = PARAMS[draft.type] ?? [];
  const params: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(draft.params)) {
    const field = known.find((param) => param.name === name);
    // What another kind of rule asked for is left behind; what a file wrote stays.
    if (value.trim() === "" || (!field && Object.values(PARAMS).some((fields) => fields.some((param) => param.name === name)))) continue;
    if (field?.kind === "time") params[name] = seconds(value, field.label);
    else if (field?.kind === "number" || (!field && /^-?\d+(\.\d+)?$/.test(value))) {
      const number = Number(value);
      if (!Number.isFinite(number)) throw new Error(`${field?.label ?? name}: “${value}” is no number`);
      params[name] = number;
    } else params[name] = value.trim();
  }
  return {
    name: draft.name.trim(),
    type: draft.type,
    enabled: draft.enabled,
    metric: needsMetric(draft.type) ? draft.metric.trim() : "",
    q: draft.q.trim(),
    group_by: list(draft.groupBy),
    window_s: seconds(draft.window, "Window"),
    every_s: seconds(draft.every, "Every"),
    for_s: seconds(draft.lasts, "Fires after"),
    keep_firing_s: seconds(draft.keep, "Ends after"),
    severity: draft.severity,
    params,
    no_data: draft.noData,
    channels: draft.channels,
    labels: Object.fromEntries(list(draft.labels).map((pair) => [pair.split("=")[0].trim(), pair.split("=").slice(1).join("=").trim()])),
    note: draft.note,
    managed_by: draft.managedBy,
  };
}

function list(text: string): string[] {
  return text.split(",").map((one) => one.trim()).filter(Boolean);
}
