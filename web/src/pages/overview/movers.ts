/** What changed most against the period before. Pure. */
import type { Figures } from "../../ui/chart/prepare";

export interface Mover {
  value: string;
  now: number;
  before: number;
  change: number;
}

/** Totals of a metric by group. What did not fit among the groups is left out: it is nobody in particular. */
export function totalsOf(reply: Figures): Map<string, number> {
  const found = new Map<string, number>();
  for (const series of reply.series) {
    const [group] = Object.entries(series.group);
    if (!group || (group[0] === "other" && group[1] === "true")) continue;
    found.set(group[1], series.total ?? 0);
  }
  return found;
}

/** Ranks groups by how far their totals moved; those that did not move are left out. */
export function moversOf(now: Figures, before: Figures, most = 6): Mover[] {
  const current = totalsOf(now);
  const earlier = totalsOf(before);
  return [...new Set([...current.keys(), ...earlier.keys()])]
    .map((value) => {
      const [to, from] = [current.get(value) ?? 0, earlier.get(value) ?? 0];
      return { value, now: to, before: from, change: to - from };
    })
    .filter((mover) => mover.change !== 0)
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change))
    .slice(0, most);
}
