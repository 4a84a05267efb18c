/** Preparing the strip of bars above the list. Pure; the drawing stands in Histogram.tsx. */
/** The part of a metrics reply that is drawn. */
interface Figures {
  interval_s: number;
  series: { points: (number | null)[][] }[];
}

export interface Bar {
  /** Milliseconds since 1970. */
  start: number;
  total: number;
  errors: number;
}

export interface Bars {
  bars: Bar[];
  /** Milliseconds. */
  step: number;
  from: number;
  to: number;
  max: number;
  total: number;
  errors: number;
}

/** Lays two figures over one grid of buckets from `from` to `to` (milliseconds); buckets without data are zero. */
export function prepareBars(spans: Figures, errors: Figures, from: number, to: number): Bars {
  const step = spans.interval_s * 1000;
  const first = Math.floor(from / step) * step;
  const count = Math.max(1, Math.min(2000, Math.ceil((to - first) / step)));
  const bars: Bar[] = Array.from({ length: count }, (_, i) => ({ start: first + i * step, total: 0, errors: 0 }));
  const fill = (reply: Figures, key: "total" | "errors") => {
    for (const series of reply.series) {
      for (const [at, value] of series.points) {
        const bar = bars[Math.floor(((at ?? 0) * 1000 - first) / step)];
        if (bar && value) bar[key] += value;
      }
    }
  };
  fill(spans, "total");
  fill(errors, "errors");
  return {
    bars,
    step,
    from: first,
    to: first + count * step,
    max: Math.max(1, ...bars.map((bar) => bar.total)),
    total: bars.reduce((sum, bar) => sum + bar.total, 0),
    errors: bars.reduce((sum, bar) => sum + bar.errors, 0),
  };
}

/** Writes all bars of one kind as a single path in a box of `width` by `height`. */
export function barPath(bars: Bars, key: "total" | "errors", width: number, height: number): string {
  const each = width / bars.bars.length;
  const gap = each > 4 ? 1 : each > 2 ? 0.5 : 0;
  let path = "";
  bars.bars.forEach((bar, index) => {
    const value = Math.min(bar[key], bar.total);
    if (value <= 0) return;
    const tall = Math.max(2, (value / bars.max) * (height - 2));
    const x = index * each + gap / 2;
    path += `M${x.toFixed(2)} ${height}v${(-tall).toFixed(2)}h${(each - gap).toFixed(2)}v${tall.toFixed(2)}z`;
  });
  return path;
}
