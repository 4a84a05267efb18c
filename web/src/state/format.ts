/** Turns values into what a person reads. Everything here is pure; nothing here knows about the page. */

const NONE = "–";

/** Formats milliseconds with three significant digits and the unit that fits. */
export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  if (ms === 0) return "0 ms";
  const size = Math.abs(ms);
  if (size < 0.001) return `${Math.round(ms * 1e6)} ns`;
  if (size < 1) return `${trim(ms * 1000, 3)} µs`;
  if (size < 1000) return `${trim(ms, 3)} ms`;
  if (size < 60_000) return `${trim(ms / 1000, 3)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${pad(Math.floor(seconds / 60) % 60)}m`;
  return `${Math.floor(seconds / 86_400)}d ${Math.floor(seconds / 3600) % 24}h`;
}

/** Formats a count in full below ten thousand, else shortened ("12.3k"). */
export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (Math.abs(value) < 10_000) return value.toLocaleString("en-US");
  if (Math.abs(value) < 1e6) return `${trim(value / 1e3, 3)}k`;
  if (Math.abs(value) < 1e9) return `${trim(value / 1e6, 3)}M`;
  return `${trim(value / 1e9, 3)}B`;
}

/** Formats a count in full, with thousands separated. */
export function formatExact(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : value.toLocaleString("en-US");
}

/** Formats US dollars for columns of figures: five decimals below a dollar, so that they stand in line. */
export function formatUsd(value: string | number | null | undefined): string {
  const usd = dollars(value);
  if (usd === null) return NONE;
  if (usd === 0) return "$0";
  const size = Math.abs(usd);
  if (size >= 1000) return `$${usd.toLocaleString("en-US", { maximumFractionDigits: 0 })}`;
  if (size >= 1) return `$${usd.toFixed(2)}`;
  return size >= 0.000_01 ? `$${usd.toFixed(5)}` : "<$0.00001";
}

/** Formats US dollars with two significant digits however small the sum is. */
export function formatUsdFine(value: string | number | null | undefined): string {
  const usd = dollars(value);
  if (usd === null || usd === 0 || Math.abs(usd) >= 1) return formatUsd(usd);
  const digits = Math.min(12, 1 - Math.floor(Math.log10(Math.abs(usd))));
  return `$${trimZeros(usd.toFixed(Math.max(2, digits)))}`;
}

function dollars(value: string | number | null | undefined): number | null {
  if (value === null || value === undefined || value === "") return null;
  const usd = Number(value);
  return Number.isFinite(usd) ? usd : null;
}

/** Formats a size in bytes. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${trim(bytes / 1024, 3)} kB`;
  if (bytes < 1024 ** 3) return `${trim(bytes / 1024 ** 2, 3)} MB`;
  return `${trim(bytes / 1024 ** 3, 3)} GB`;
}

/** Formats a score's value, or its label where it has no number. */
export function formatScore(value: number | null | undefined, label?: string): string {
  if (value === null || value === undefined) return label || NONE;
  return Number.isInteger(value) ? String(value) : trim(value, 3);
}

/** Formats an instant as a local clock time with milliseconds. */
export function formatClock(date: Date): string {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Formats an instant for a list: the time today, else with its day; the year only when it is another. */
export function formatWhen(iso: string, now: Date = new Date()): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return NONE;
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  if (date.toDateString() === now.toDateString()) return clock;
  const day = `${MONTHS[date.getMonth()]} ${date.getDate()}`;
  return date.getFullYear() === now.getFullYear() ? `${day} ${clock.slice(0, 5)}` : `${day} ${date.getFullYear()}`;
}

/** Formats an instant in full, local, with its zone. */
export function formatFull(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${formatClock(date)} ${zone(date)}`;
}

/** Formats how long ago an instant was. */
export function formatAgo(iso: string, now: number = Date.now()): string {
  const seconds = Math.round((now - new Date(iso).getTime()) / 1000);
  if (!Number.isFinite(seconds)) return NONE;
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ago`;
  return `${Math.floor(seconds / 86_400)}d ago`;
}

/** Returns the zone of an instant as an offset ("UTC+2"). */
export function zone(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const hours = Math.floor(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${pad(rest)}` : ""}`;
}

/** Names the kinds of error ("openai.NotFoundError, unknown") without their modules; one that nobody named is an "error". */
export function formatErrorType(types: string): string {
  const names = types.split(", ").map((type) => type.split(".").pop() || "error");
  return [...new Set(names.map((name) => (name === "unknown" || name === "_OTHER" ? "error" : name)))].join(", ");
}

/** Returns "1 span", "2 spans". */
export function plural(count: number, noun: string): string {
  return `${formatExact(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Begins a sentence with a capital. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Formats a share of 1 in per cent, with one decimal below ten. */
export function formatShare(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return NONE;
  const percent = share * 100;
  if (percent !== 0 && Math.abs(percent) < 0.1) return percent > 0 ? "<0.1%" : ">−0.1%";
  return `${percent.toFixed(Math.abs(percent) < 10 && percent !== 0 ? 1 : 0)}%`.replace("-", "−");
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

function trim(value: number, digits: number): string {
  const text = value.toPrecision(digits);
  return text.includes("e") ? String(Math.round(value)) : trimZeros(text);
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
