/**
 * The critical path of a trace: the stretches of spans that, had they been shorter, would have ended the trace earlier.
 *
 * From the end backwards: of a span's children the one that ended last before the moment looked at held it up; what
 * lies between the end of that child and the moment is the span's own. A child that outlives its parent did not hold
 * it up any longer than the parent lasted. Nothing is recursive: a chain of 10,000 spans is as good as a tree.
 */
import type { Tree, TreeInput } from "./build";

export interface CriticalPath {
  /** By position: stretches in milliseconds since the trace's start, the latest first. */
  stretches: Map<number, [from: number, to: number][]>;
  /** By position: their sum, in milliseconds. */
  own: Map<number, number>;
}

/** Finds the critical path. Several roots are looked at as children of the trace itself. */
export function criticalPath(spans: readonly TreeInput[], tree: Tree): CriticalPath {
  const path: CriticalPath = { stretches: new Map(), own: new Map() };
  const start = (at: number) => spans[tree.order[at]].start_ms;
  const end = (at: number) => start(at) + Math.max(0, spans[tree.order[at]].duration_ms);
  const work: [position: number, from: number, until: number][] = [];
  const add = (at: number, from: number, to: number) => {
    if (at < 0 || to <= from) return;
    const known = path.stretches.get(at);
    if (known) known.push([from, to]);
    else path.stretches.set(at, [[from, to]]);
    path.own.set(at, (path.own.get(at) ?? 0) + to - from);
  };
  /** Walks back from `until` over children, and leaves to the parent what none of them held up. */
  const walk = (parent: number, from: number, until: number, children: number[]) => {
    const limit = until;
    children.sort((a, b) => Math.min(end(b), limit) - Math.min(end(a), limit) || start(a) - start(b));
    let moment = until;
    for (const child of children) {
      const ended = Math.min(end(child), limit);
      const began = Math.max(start(child), from);
      if (ended > moment || ended <= from || began >= moment) continue;
      add(parent, ended, moment);
      work.push([child, began, ended]);
      moment = began;
    }
    add(parent, from, moment);
  };
  const roots: number[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < tree.order.length; at = tree.end[at]) {
    roots.push(at);
    last = Math.max(last, end(at));
  }
  if (roots.length) walk(-1, Number.NEGATIVE_INFINITY, last, roots);
  for (let next = work.pop(); next; next = work.pop()) {
    const [at, from, until] = next;
    const children: number[] = [];
    for (let child = at + 1; child < tree.end[at]; child = tree.end[child]) children.push(child);
    walk(at, from, until, children);
  }
  return path;
}

/** Joins stretches that lie closer than `gap`, so that a row never draws more than can be told apart. Latest first, as given. */
export function joinStretches(stretches: readonly [number, number][], gap: number): [number, number][] {
  const joined: [number, number][] = [];
  for (const [from, to] of stretches) {
    const before = joined.at(-1);
    if (before && before[0] - to < gap) before[0] = from;
    else joined.push([from, to]);
  }
  return joined;
}
