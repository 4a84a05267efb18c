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
}

/** Places a bar; the style sheet gives it a least width so that nothing vanishes. */
export function barOf(span: { start_ms: number; duration_ms: number }, frame: TimeFrame): Bar {
  const length = frame.to - frame.from;
  const left = clamp(((span.start_ms - frame.from) / length) * 100);
  const width = Math.min(100 - left, clamp((Math.max(0, span.duration_ms) / length) * 100));
  return { left, width, label: left + width <= 78 ? "after" : left > 22 ? "before" : "inside" };
}

/** Chooses round times for the axis, the frame's start left out. */
export function timeTicks(frame: TimeFrame, most: number): number[] {
  const length = frame.to - frame.from;
  const raw = length / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw) ?? raw;
  const ticks = [];
  for (let k = 1; k * step < length * 0.97; k++) ticks.push(k * step);
  return ticks;
}

function clamp(percent: number): number {
  return Math.max(0, Math.min(100, percent));
}
