/** Where bars and ticks of the waterfall stand. Pure. */

export interface TimeFrame {
  /** Milliseconds since the trace's start; negative when a span began before it. */
  from: number;
  to: number;
}

/** Finds the time that a trace covers. */
export function frameOf(spans: readonly { start_ms: number; duration_ms: number }[]): TimeFrame {
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const span of spans) {
    from = Math.min(from, span.start_ms);
    to = Math.max(to, span.start_ms + Math.max(0, span.duration_ms));
  }
  if (!Number.isFinite(from)) return { from: 0, to: 1 };
  return to > from ? { from, to } : { from, to: from + 1 };
}

export interface Bar {
  /** Percent of the frame. */
  left: number;
  width: number;
  /** Where there is room for the label. */
  label: "after" | "before" | "inside";
  /** The end of the frame beyond which the span lies; empty where some of it is to be seen. */
  beyond: "" | "left" | "right";
}

/** Places a bar; the style sheet gives it a least width so that nothing vanishes. */
export function barOf(span: { start_ms: number; duration_ms: number }, frame: TimeFrame): Bar {
  const from = percentOf(span.start_ms, frame);
  const to = percentOf(span.start_ms + Math.max(0, span.duration_ms), frame);
  const left = clamp(from);
  const width = clamp(to) - left;
  const beyond = to < 0 ? "left" : from > 100 ? "right" : "";
  return { left, width, label: left + width <= 78 ? "after" : left > 22 ? "before" : "inside", beyond };
}

/** Where a moment lies in the frame, in percent; below 0 and above 100 outside of it. */
export function percentOf(ms: number, frame: TimeFrame): number {
  return ((ms - frame.from) / (frame.to - frame.from)) * 100;
}

/** Chooses round times for the axis, in milliseconds since `origin`, the frame's start left out. */
export function timeTicks(frame: TimeFrame, most: number, origin = frame.from): number[] {
  const length = frame.to - frame.from;
  const raw = length / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw) ?? raw;
  const before = frame.from - origin;
  const ticks = [];
  for (let k = Math.floor(before / step) + 1; k * step < before + length * 0.97; k++) ticks.push(k * step);
  return ticks;
}

/** No zoom is closer: a thousandth of a millisecond is the finest that clocks of senders tell. */
const LEAST_MS = 0.001;

/** Zooms by a factor (below 1: closer) around a moment; null is the whole trace. */
export function zoomBy(whole: TimeFrame, now: TimeFrame, around: number, factor: number): TimeFrame | null {
  const length = Math.max(LEAST_MS, (now.to - now.from) * factor);
  const middle = Math.max(now.from, Math.min(now.to, around));
  return zoomTo(whole, middle - length / 2, middle + length / 2);
}

/** Zooms to a stretch, kept within the trace; null where that is all of it. */
export function zoomTo(whole: TimeFrame, from: number, to: number): TimeFrame | null {
  const length = Math.max(LEAST_MS, to - from);
  if (length >= whole.to - whole.from) return null;
  const start = Math.max(whole.from, Math.min(whole.to - length, from));
  return { from: start, to: start + length };
}

/** Writes a zoom for the address, in milliseconds since the trace's start. */
export function writeZoom(zoom: TimeFrame | null): string | undefined {
  return zoom ? `${Number(zoom.from.toFixed(3))}..${Number(zoom.to.toFixed(3))}` : undefined;
}

/** Reads a zoom from the address; null where it is none. */
export function readZoom(text: string, whole: TimeFrame): TimeFrame | null {
  const found = /^(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)$/.exec(text);
  if (!found) return null;
  const [from, to] = [Number(found[1]), Number(found[2])];
  return to > from && to > whole.from && from < whole.to ? zoomTo(whole, from, to) : null;
}

function clamp(percent: number): number {
  return Math.max(0, Math.min(100, percent));
}
