/** What a back-test says of a group: its values beside what was normal for them. Pure. */
import type { BackTestReply } from "../../api/calls";
import { type ChartData, partialFrom } from "../../ui/chart/prepare";
import { unitOf } from "./evidence";

/** Its points are [seconds since 1970, value, expected, low, high]. */
export type NormalLine = BackTestReply["lines"][number];

/** Finer grids than this tell nothing more, and the server thins its points to about as many. */
const MOST_STEPS = 500;

/**
 * Lays a group's points over a grid. Thinned points stand where the value lay furthest out, thus at uneven
 * distances: each takes the next free step, and single steps left over lie on the line between their neighbours.
 */
export function normalChart(line: NormalLine, metric: string): ChartData | null {
  const { points } = line;
  if (points.length === 0) return null;
  const moments = points.map((point) => Number(point[0]));
  const first = moments[0];
  const length = moments[moments.length - 1] - first;
  const least = moments.slice(1).reduce((gap, at, index) => Math.min(gap, at - moments[index]), Infinity);
  const even = Number.isFinite(least) && least > 0 && length / least < MOST_STEPS;
  const step = points.length < 2 ? 300 : even ? least : length / (points.length - 1);
  const places: number[] = [];
  for (const at of moments) places.push(Math.max((places.at(-1) ?? -1) + 1, Math.floor((at - first) / step)));
  const count = places[places.length - 1] + 1;
  const times = Array.from({ length: count }, (_, index) => first + index * step);
  const column = (which: 1 | 2 | 3 | 4) => {
    const values: (number | null)[] = times.map(() => null);
    points.forEach((point, index) => (values[places[index]] = point[which]));
    return even ? values : joined(values, new Set(places));
  };
  return {
    times,
    step,
    partialFrom: partialFrom(times, step, Infinity),
    unit: unitOf(metric),
    lines: [
      { key: "value", name: metric || "value", colour: "accent", values: column(1), total: null },
      { key: "expected", name: "expected", colour: "other", values: column(2), total: null },
    ],
    band: { low: column(3), high: column(4) },
  };
}

/** Fills single steps that no point took. */
function joined(values: (number | null)[], taken: ReadonlySet<number>): (number | null)[] {
  return values.map((value, index) => {
    const before = values[index - 1];
    const after = values[index + 1];
    if (taken.has(index) || typeof before !== "number" || typeof after !== "number") return value;
    return (before + after) / 2;
  });
}

/** Tells whether an alert is about a line's group: all labels of the group are the alert's too. */
export function isAbout(line: NormalLine, labels: Record<string, string>): boolean {
  return Object.entries(line.labels).every(([name, value]) => (labels[name] ?? "") === value);
}
