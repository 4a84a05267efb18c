/** From an alert's evidence, or a rule and its metric, to a chart. Pure. */
import { type ChartData, type Level, type Line, partialFrom } from "../../ui/chart/prepare";

type Point = [number, number | null];

/** Which unit a metric, or a ratio of two, is measured in. */
export function unitOf(metric: string): string {
  const [over, under] = metric.split("/");
  const base = over.split(".")[0];
  if (base.endsWith("_usd")) return "USD";
  if (/(duration|ttft|tpot)_ms$/.test(base)) return "ms";
  if (under && /errors|refusals/.test(over)) return "share";
  return under || base === "score" ? "" : "count";
}

/** The levels of a threshold rule, or the one number that other kinds give. */
export function levelsOf(threshold: unknown): Level[] {
  if (typeof threshold === "number") return [{ value: threshold, name: "limit", colour: "error" }];
  if (typeof threshold !== "object" || threshold === null) return [];
  const { breach, warning } = threshold as Record<string, unknown>;
  return [
    ...(typeof breach === "number" ? [{ value: breach, name: "breach", colour: "error" as const }] : []),
    ...(typeof warning === "number" ? [{ value: warning, name: "warning", colour: "warn" as const }] : []),
  ];
}

/** Draws evidence: the metric's line with what it was held against. Null where it holds no line. */
export function evidenceChart(evidence: Record<string, unknown>, metric: string, firedAt: number | null): ChartData | null {
  const baseline = rows(evidence.baseline).filter((row) => row.length >= 4);
  const series = evidence.series as { interval_s?: number; points?: unknown } | undefined;
  const own = rows(evidence.points);
  const context = rows(series?.points);
  // A baseline lies on the grid of the points. Without one a finer line tells when it began; but of what is added up,
  // such as cost, a shorter bucket holds less and cannot be held against the levels of a longer one.
  const finer = context.length > 1 && !isSum(metric) && (own.length < 2 || (series?.interval_s ?? stepOf(context, 300)) < stepOf(own, 300));
  const better = baseline.length <= 1 && (finer || (context.length > own.length && (own.length < 2 || !isSum(metric))));
  const points = (better ? context : own).map((row): Point => [Number(row[0]), row[1] === null ? null : Number(row[1])]);
  if (points.length === 0) return null;
  const step = stepOf(points, series?.interval_s ?? 300);
  const first = points[0][0];
  // Levels are judged when a bucket is over: the moment it fired lies a little beyond the last one.
  const last = points[points.length - 1][0];
  const end = firedAt !== null && firedAt > last && firedAt < last + 5 * step ? Math.floor((firedAt - first) / step) * step + first : last;
  const count = Math.min(2000, Math.round((end - first) / step) + 1);
  const times = Array.from({ length: count }, (_, index) => first + index * step);
  const onGrid = (pairs: (number | null)[][], column: number) => {
    const values: (number | null)[] = times.map(() => null);
    for (const row of pairs) {
      const index = Math.round((Number(row[0]) - first) / step);
      if (index >= 0 && index < values.length) values[index] = row[column] === null || row[column] === undefined ? null : Number(row[column]);
    }
    return values;
  };
  const lines: Line[] = [{ key: "value", name: metric || "value", colour: "accent", values: onGrid(points, 1), total: null }];
  if (baseline.length > 1) lines.push({ key: "expected", name: "expected", colour: "other", values: onGrid(baseline, 1), total: null });
  return {
    times,
    step,
    partialFrom: partialFrom(times, step, Infinity),
    unit: unitOf(metric),
    lines,
    band: baseline.length > 1 ? { low: onGrid(baseline, 2), high: onGrid(baseline, 3) } : undefined,
    levels: levelsOf(evidence.threshold),
    marks: firedAt === null ? [] : [{ at: firedAt, name: "fired", colour: "error" }],
  };
}

/** Tells figures that grow with the length of a bucket from those that do not: percentiles, shares, ratios. */
function isSum(metric: string): boolean {
  return !metric.includes("/") && !metric.includes(".") && ["USD", "count"].includes(unitOf(metric));
}

/** The seconds from one point to the next. */
function stepOf(points: (number | null)[][], otherwise: number): number {
  const gaps = points.slice(1).map((row, index) => Number(row[0]) - Number(points[index][0])).filter((gap) => gap > 0);
  return gaps.length > 0 ? Math.min(...gaps) : otherwise;
}

function rows(value: unknown): (number | null)[][] {
  return Array.isArray(value) ? value.filter((row): row is (number | null)[] => Array.isArray(row) && Number.isFinite(row[0])) : [];
}

export interface ExampleTrace {
  traceId: string;
  name: string;
  time: string;
}

/** The example traces of evidence; what is malformed is left out. */
export function tracesOf(evidence: Record<string, unknown>): ExampleTrace[] {
  if (!Array.isArray(evidence.traces)) return [];
  return evidence.traces.flatMap((trace: { trace_id?: unknown; name?: unknown; start_time?: unknown }) =>
    typeof trace?.trace_id === "string" && /^[0-9a-f]{32}$/i.test(trace.trace_id) ? [{ traceId: trace.trace_id, name: String(trace.name ?? ""), time: String(trace.start_time ?? "") }] : [],
  );
}

/** Divides one metric's line by another's, bucket by bucket; nothing where there is nothing to divide by. */
export function ratio(over: (number | null)[][], under: (number | null)[][]): (number | null)[][] {
  const divisors = new Map(under.map(([at, value]) => [at, value]));
  return over.map(([at, value]) => {
    const divisor = divisors.get(at);
    return [at, value === null || !divisor ? null : value / divisor];
  });
}
