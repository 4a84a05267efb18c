/** Time ranges: what people type or pick, what the URL holds, and what the API is asked. */

/** A range as the URL holds it: "24h" (until now), "all", or "2026-01-02T03:04:05Z..2026-01-02T04:00:00Z". */
export type RangeText = string;

/** Milliseconds since 1970; an open end is null. */
export interface Span {
  from: number | null;
  to: number | null;
}

export const DEFAULT_RANGE: RangeText = "7d";

export const PRESETS: { text: RangeText; label: string }[] = [
  { text: "15m", label: "Last 15 minutes" },
  { text: "1h", label: "Last hour" },
  { text: "6h", label: "Last 6 hours" },
  { text: "24h", label: "Last 24 hours" },
  { text: "7d", label: "Last 7 days" },
  { text: "30d", label: "Last 30 days" },
  { text: "all", label: "All time" },
];

const UNITS: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  mo: 30 * 86_400_000,
  y: 365 * 86_400_000,
};

const LONG_UNITS: Record<string, string> = {
  sec: "s", second: "s", seconds: "s", secs: "s",
  min: "m", mins: "m", minute: "m", minutes: "m",
  hr: "h", hrs: "h", hour: "h", hours: "h",
  day: "d", days: "d",
  week: "w", weeks: "w",
  month: "mo", months: "mo",
  year: "y", years: "y",
};

/** Resolves a range to instants, or returns null when the text is none. */
export function resolveRange(text: RangeText, now: number): Span | null {
  if (text === "all") return { from: null, to: null };
  const relative = relativeMs(text);
  if (relative !== null) return { from: now - relative, to: null };
  const parts = text.split("..");
  if (parts.length !== 2) return null;
  const from = parts[0] === "" ? null : Date.parse(parts[0]);
  const to = parts[1] === "" ? null : Date.parse(parts[1]);
  if (Number.isNaN(from) || Number.isNaN(to)) return null;
  if (from === null && to === null) return null;
  if (from !== null && to !== null && from >= to) return null;
  return { from, to };
}

/** Reads what a person typed ("3h", "last 2 days", "yesterday", "2026-01-02 to 2026-01-05 14:00"); null if unclear. */
export function parseTyped(input: string, now: number): RangeText | null {
  const text = input.trim().toLowerCase().replace(/\s+/g, " ");
  if (text === "") return null;
  if (text === "all" || text === "all time" || text === "ever") return "all";
  if (text === "today") return absolute(startOfDay(now), null);
  if (text === "yesterday") return absolute(startOfDay(startOfDay(now) - 3_600_000), startOfDay(now));
  const match = /^(?:last |past )?(\d+(?:\.\d+)?)? ?([a-z]+)(?: ago)?$/.exec(text);
  if (match) {
    const unit = match[2] in UNITS ? match[2] : LONG_UNITS[match[2]];
    const spoken = match[1] !== undefined || /^(last|past) /.test(text);
    if (unit && spoken) return `${match[1] ?? "1"}${unit}`;
  }
  if (resolveRange(input.trim(), now)) return input.trim();
  const ends = input.trim().split(/\s+(?:to|until|–|—|-)\s+|\.\./i);
  if (ends.length === 1) {
    const day = parseInstant(ends[0]);
    if (day === null) return null;
    return absolute(day, hasClock(ends[0]) ? null : startOfDay(day + 26 * 3_600_000));
  }
  if (ends.length !== 2) return null;
  const from = parseInstant(ends[0]);
  let to = /^now$/i.test(ends[1].trim()) ? now : parseInstant(ends[1]);
  if (from === null || to === null) return null;
  if (!hasClock(ends[1]) && !/now/i.test(ends[1])) to = startOfDay(to + 26 * 3_600_000);
  return from < to ? absolute(from, to) : null;
}

/** Writes an absolute range. */
export function absolute(from: number | null, to: number | null): RangeText {
  return `${from === null ? "" : iso(from)}..${to === null ? "" : iso(to)}`;
}

/** Names a range for the button that shows it. */
export function describeRange(text: RangeText, now: number): string {
  const preset = PRESETS.find((one) => one.text === text);
  if (preset) return preset.label;
  const relative = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(text);
  if (relative) return `Last ${relative[1]} ${unitName(relative[2], Number(relative[1]))}`;
  const span = resolveRange(text, now);
  if (!span) return text;
  if (span.from !== null && span.to === null) return `Since ${short(span.from)}`;
  if (span.from === null && span.to !== null) return `Until ${short(span.to)}`;
  const sameDay = new Date(span.from!).toDateString() === new Date(span.to!).toDateString();
  return `${short(span.from!)} – ${sameDay ? clock(span.to!) : short(span.to!)}`;
}

/** Moves a range back (-1) or forward (+1) by its own length. */
export function stepRange(text: RangeText, direction: -1 | 1, now: number): RangeText {
  const span = resolveRange(text, now);
  if (!span || span.from === null) return text;
  const to = span.to ?? now;
  const length = to - span.from;
  return absolute(span.from + direction * length, to + direction * length);
}

/** Picks a bucket width in seconds so that a range shows as at most `most` bars. */
export function bucketSeconds(from: number, to: number, most: number): number {
  const wanted = (to - from) / 1000 / most;
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];
  return steps.find((step) => step >= wanted) ?? Math.ceil(wanted / 604_800) * 604_800;
}

/** A chart has about so many buckets. */
const AIMED = 96;

/** Cuts a range into buckets. Open ranges begin at `earliest` (milliseconds), the first trace. */
export function cutRange(range: string, now: number, earliest: number | null): { from: number; to: number; interval: number } | null {
  const span = resolveRange(range, now);
  if (!span) return null;
  const to = span.to ?? now;
  const from = span.from ?? earliest;
  if (from === null || from >= to) return null;
  const interval = bucketSeconds(from, to, AIMED);
  return { from: range.includes("..") ? from : Math.floor(from / 1000 / interval) * interval * 1000, to, interval };
}

/** Writes an instant for the API; an open end is left out. */
export function apiTime(ms: number | null): string | undefined {
  return ms === null ? undefined : new Date(ms).toISOString();
}

/** Writes an instant as date fields of forms hold it: local, to the minute. */
export function localMinute(ms: number): string {
  const date = new Date(ms);
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function relativeMs(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(s|mo|m|h|d|w|y)$/.exec(text);
  if (!match) return null;
  const ms = Number(match[1]) * UNITS[match[2]];
  return ms > 0 ? ms : null;
}

function parseInstant(text: string): number | null {
  const match =
    /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$/i.exec(text.trim());
  if (!match) return null;
  if (match[7]) {
    const exact = Date.parse(text.trim().replace(" ", "T"));
    return Number.isNaN(exact) ? null : exact;
  }
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const date = new Date(year, month - 1, day, hour, minute, second);
  return date.getMonth() === month - 1 && date.getDate() === day ? date.getTime() : null;
}

function hasClock(text: string): boolean {
  return /\d:\d\d/.test(text);
}

function startOfDay(ms: number): number {
  const date = new Date(ms);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

function unitName(unit: string, count: number): string {
  const names: Record<string, string> = { s: "second", m: "minute", h: "hour", d: "day", w: "week", mo: "month", y: "year" };
  return `${names[unit] ?? unit}${count === 1 ? "" : "s"}`;
}

function clock(ms: number): string {
  const date = new Date(ms);
  const text = `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
  return date.getSeconds() ? `${text}:${String(date.getSeconds()).padStart(2, "0")}` : text;
}

function short(ms: number): string {
  const date = new Date(ms);
  const day = date.toLocaleDateString("en-US", { month: "short", day: "numeric" });
  return date.getHours() || date.getMinutes() || date.getSeconds() ? `${day} ${clock(ms)}` : day;
}
