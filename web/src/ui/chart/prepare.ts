/** Preparing charts: from the API's figures to lines over one grid of buckets. Pure; drawing stands beside it. */
import { formatCount, formatDuration, formatShare, formatUsd } from "../../state/format";

/** A colour of the palette by its number, or a token with a meaning of its own. */
export type Colour = number | "accent" | "error" | "warn" | "other";

export interface Line {
  key: string;
  name: string;
  colour: Colour;
  /** One per bucket; null where there was nothing to measure. */
  values: (number | null)[];
  /** Over the whole range. */
  total: number | null;
  /** What narrows the list of traces to this line. */
  filter?: { field: string; value: string };
}

export interface Level {
  value: number;
  name: string;
  colour: Colour;
}

/** A moment or a stretch worth pointing at, in seconds since 1970. */
export interface Mark {
  at: number;
  end?: number;
  name: string;
  colour: Colour;
}

export interface ChartData {
  /** Starts of the buckets in seconds since 1970, equally far apart. */
  times: number[];
  /** Seconds. */
  step: number;
  /** Buckets from this one on are not over yet: `times.length` where all are. */
  partialFrom: number;
  unit: string;
  lines: Line[];
  /** What was to be expected, per bucket. */
  band?: { low: (number | null)[]; high: (number | null)[] };
  levels?: Level[];
  marks?: Mark[];
}

/** The part of a metrics reply that is drawn. */
export interface Figures {
  metric: string;
  unit: string;
  interval_s: number;
  series: { group: Record<string, string>; points: (number | null)[][]; total: number | null }[];
}

/** A metric to draw: each of its groups becomes a line. */
export interface Source {
  reply: Figures;
  /** Names the line of an ungrouped metric. */
  name?: string;
  colour?: Colour;
}

/** No chart has more buckets: beyond, the server refuses too. */
const MOST_BUCKETS = 5000;

/** Lays figures over one grid from `from` to `to` (milliseconds). What began after `now` or goes on is partial. */
export function prepareChart(sources: Source[], from: number, to: number, now: number, colours: Colours): ChartData {
  const step = sources[0]?.reply.interval_s || 60;
  const first = Math.floor(from / 1000 / step) * step;
  const count = Math.max(1, Math.min(MOST_BUCKETS, Math.ceil((to / 1000 - first) / step)));
  const times = Array.from({ length: count }, (_, index) => first + index * step);
  const lines = sources.flatMap((source) => linesOf(source, times, step, colours));
  return { times, step, partialFrom: partialFrom(times, step, Math.min(to, now)), unit: sources[0]?.reply.unit ?? "", lines };
}

/** The first bucket that goes on beyond `until` (milliseconds). */
export function partialFrom(times: number[], step: number, until: number): number {
  const found = times.findIndex((time) => (time + step) * 1000 > until);
  return found < 0 ? times.length : found;
}

function linesOf({ reply, name, colour }: Source, times: number[], step: number, colours: Colours): Line[] {
  return reply.series.map((series) => {
    const values: (number | null)[] = times.map(() => null);
    for (const point of series.points) {
      const index = Math.round((Number(point[0]) - times[0]) / step);
      if (index >= 0 && index < values.length) values[index] = point[1];
    }
    const group = Object.entries(series.group);
    const rest = series.group.other === "true";
    const shown = group.length === 0 ? (name ?? reply.metric) : rest ? "all others" : group.map(([, value]) => value || "(none)").join(" · ");
    return {
      key: `${reply.metric}|${group.map((pair) => pair.join("=")).join(",")}`,
      name: shown,
      colour: colour ?? (rest ? "other" : group.length ? colours.of(shown) : colours.of(name ?? reply.metric)),
      values,
      total: series.total,
      filter: group.length === 1 && !rest && group[0][1] ? { field: group[0][0], value: group[0][1] } : undefined,
    };
  });
}

/** How many colours the palette has. */
export const PALETTE = 8;

/** Gives names their colours: the same name has the same one in every chart that shares this. */
export class Colours {
  private readonly known = new Map<string, number>();

  of(name: string): Colour {
    const number = this.known.get(name) ?? this.known.size;
    this.known.set(name, number);
    return number < PALETTE ? number : "other";
  }
}

/** Sums lines upwards: what each one's bar ends at. Nothing to measure counts as nothing. */
export function stack(lines: Line[]): number[][] {
  const sums = lines[0]?.values.map(() => 0) ?? [];
  return lines.map((line) => {
    line.values.forEach((value, index) => (sums[index] += value ?? 0));
    return [...sums];
  });
}

/** Stretches of buckets, [first, beyond last), in which no line measured anything. */
export function gapsOf(lines: Line[], count: number): [number, number][] {
  const gaps: [number, number][] = [];
  for (let index = 0; index < count; index++) {
    if (lines.some((line) => line.values[index] !== null && line.values[index] !== undefined)) continue;
    const last = gaps.at(-1);
    if (last && last[1] === index) last[1] = index + 1;
    else gaps.push([index, index + 1]);
  }
  return gaps;
}

/** Points whose neighbours are missing: a line alone would not show them. */
export function lonely(values: (number | null)[]): number[] {
  const missing = (index: number) => values[index] === null || values[index] === undefined;
  return values.flatMap((_, index) => (!missing(index) && missing(index - 1) && missing(index + 1) ? [index] : []));
}

/** Splits a line where buckets are not over yet; the second part begins one earlier, so that both meet. */
export function splitPartial(values: (number | null)[], from: number): { whole: (number | null)[]; partial: (number | null)[] } {
  return {
    whole: values.map((value, index) => (index < from ? value : null)),
    partial: values.map((value, index) => (index >= from - 1 ? value : null)),
  };
}

/** The upper end of the axis: the largest of what is drawn, with a little room, at a round figure. */
export function ceilingOf(data: ChartData, stacked: boolean): number {
  const tops = stacked ? (stack(data.lines).at(-1) ?? []) : data.lines.flatMap((line) => line.values);
  const others = [...(data.levels ?? []).map((level) => level.value), ...(data.band?.high ?? [])];
  const most = [...tops, ...others].reduce<number>((max, value) => (value !== null && Number.isFinite(value) && value > max ? value : max), 0);
  if (most <= 0) return 1;
  const magnitude = 10 ** Math.floor(Math.log10(most * 1.04));
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * magnitude).find((end) => end >= most * 1.04) ?? 10 * magnitude;
}

/** Writes a value of a unit for an axis or a tip. */
export function formatValue(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined) return "–";
  if (unit === "ms") return formatDuration(value);
  if (unit === "USD") return formatUsd(value);
  if (unit === "share") return formatShare(value);
  const count = Math.abs(value) < 1000 ? Number(value.toPrecision(3)) : Math.round(value);
  return unit === "tokens/s" ? `${formatCount(count)}/s` : formatCount(count);
}

/** Writes a value of a unit for the axis, where all labels are round. */
export function formatTick(value: number, unit: string): string {
  if (unit === "USD" && value > 0) return value >= 1 ? `$${formatCount(Number(value.toPrecision(3)))}` : `$${Number(value.toPrecision(2))}`;
  return formatValue(value, unit);
}

/** Says in a sentence what a chart shows, for those who do not see it. */
export function describe(data: ChartData, title: string): string {
  const gaps = gapsOf(data.lines, data.times.length).reduce((sum, [from, to]) => sum + to - from, 0);
  const lines = data.lines.slice(0, 8).map((line) => {
    const known = line.values.filter((value): value is number => value !== null);
    if (known.length === 0) return `${line.name}: nothing measured`;
    return `${line.name}: ${formatValue(Math.min(...known), data.unit)} to ${formatValue(Math.max(...known), data.unit)}`;
  });
  return `${title}, ${data.times.length} intervals. ${lines.join("; ")}.${gaps ? ` Nothing measured in ${gaps} of them.` : ""}`;
}

/** Writes when a bucket began, as finely as its width asks for. */
export function moment(ms: number, step: number): string {
  return new Date(ms).toLocaleString("en-US", {
    weekday: "short",
    month: "short",
    day: "numeric",
    ...(step >= 86_400 ? {} : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" as const }),
    ...(step < 60 ? { second: "2-digit" as const } : {}),
  });
}
