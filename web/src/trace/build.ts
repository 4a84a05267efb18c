/**
 * The tree of a trace, as flat arrays.
 *
 * Everything is iterative and O(n log n) at worst (one sort): a chain of 10,000 spans or 50,000
 * spans under one parent cost the same. Broken traces still show every span exactly once: a span
 * whose parent is missing, or that is its own ancestor, becomes a root and says why.
 */

/** What the tree needs of a span; a span of the API's skeleton fits as it is. */
export interface TreeInput {
  span_id: string;
  parent_span_id?: string;
  start_ms: number;
  duration_ms: number;
  status_code?: string;
  tokens?: number | null;
  cost_usd?: string | null;
  /** False: its usage is shown but not summed. */
  counted?: boolean | null;
}

export interface Tree {
  /** Indices into the input, in the order rows are shown when everything is expanded. */
  order: Int32Array;
  /** By position in `order`. */
  depth: Int32Array;
  /** By position: one past the last row of the subtree. */
  end: Int32Array;
  /** By position: number of direct children. */
  children: Int32Array;
  /** By position: errors in the subtree, the row itself included. */
  errors: Int32Array;
  /** By position: sums over the subtree; NaN where nothing below said anything. */
  tokens: Float64Array;
  cost: Float64Array;
  /** By position: position of the parent, or -1. */
  parent: Int32Array;
  /** By position: place among its siblings, from 1, and how many there are. */
  place: Int32Array;
  siblings: Int32Array;
  /** Position of each span id. */
  position: Map<string, number>;
  /** Positions of spans whose named parent is not in the trace. */
  orphans: Set<number>;
  /** Positions of spans shown as roots because their ancestors form a ring. */
  rings: Set<number>;
  roots: number;
}

/** Builds the tree. Of spans with the same id the last counts. */
export function buildTree(input: readonly TreeInput[]): Tree {
  const byId = new Map<string, number>();
  for (let i = 0; i < input.length; i++) byId.set(input[i].span_id, i);
  const indices = Int32Array.from(byId.values());
  indices.sort((a, b) => input[a].start_ms - input[b].start_ms || input[b].duration_ms - input[a].duration_ms || a - b);

  const parentOf = new Int32Array(input.length).fill(-1);
  const orphan = new Uint8Array(input.length);
  for (const i of indices) {
    const wanted = input[i].parent_span_id;
    if (!wanted) continue;
    const found = byId.get(wanted);
    if (found === undefined) orphan[i] = 1;
    else parentOf[i] = found;
  }
  const ring = cutRings(indices, parentOf);

  const firstChild = new Int32Array(input.length).fill(-1);
  const lastChild = new Int32Array(input.length).fill(-1);
  const nextSibling = new Int32Array(input.length).fill(-1);
  const childCount = new Int32Array(input.length);
  let firstRoot = -1;
  let lastRoot = -1;
  let roots = 0;
  for (const i of indices) {
    const parent = parentOf[i];
    if (parent < 0) {
      if (firstRoot < 0) firstRoot = i;
      else nextSibling[lastRoot] = i;
      lastRoot = i;
      roots++;
    } else {
      if (firstChild[parent] < 0) firstChild[parent] = i;
      else nextSibling[lastChild[parent]] = i;
      lastChild[parent] = i;
      childCount[parent]++;
    }
  }

  const count = indices.length;
  const tree: Tree = {
    order: new Int32Array(count),
    depth: new Int32Array(count),
    end: new Int32Array(count),
    children: new Int32Array(count),
    errors: new Int32Array(count),
    tokens: new Float64Array(count),
    cost: new Float64Array(count),
    parent: new Int32Array(count).fill(-1),
    place: new Int32Array(count),
    siblings: new Int32Array(count),
    position: new Map(),
    orphans: new Set(),
    rings: new Set(),
    roots,
  };

  // Preorder walk with an explicit stack of ancestors' positions.
  const stack: number[] = [];
  let at = 0;
  let node = firstRoot;
  let place = 1;
  while (node >= 0) {
    const parentPosition = stack.length ? stack[stack.length - 1] : -1;
    tree.order[at] = node;
    tree.depth[at] = stack.length;
    tree.children[at] = childCount[node];
    tree.parent[at] = parentPosition;
    tree.place[at] = place;
    tree.siblings[at] = parentPosition < 0 ? roots : tree.children[parentPosition];
    tree.position.set(input[node].span_id, at);
    if (orphan[node]) tree.orphans.add(at);
    if (ring[node]) tree.rings.add(at);
    const here = at++;
    if (firstChild[node] >= 0) {
      stack.push(here);
      node = firstChild[node];
      place = 1;
      continue;
    }
    tree.end[here] = at;
    while (nextSibling[node] < 0 && stack.length) {
      const up = stack.pop()!;
      tree.end[up] = at;
      node = tree.order[up];
      place = tree.place[up];
    }
    node = nextSibling[node];
    place++;
  }
  sumSubtrees(tree, input);
  return tree;
}

/** Finds spans that are their own ancestors and makes the earliest of each ring a root. */
function cutRings(indices: Int32Array, parentOf: Int32Array): Uint8Array {
  const ring = new Uint8Array(parentOf.length);
  const seen = new Int32Array(parentOf.length);
  const rank = new Int32Array(parentOf.length);
  for (let place = 0; place < indices.length; place++) rank[indices[place]] = place;
  let walk = 0;
  for (const start of indices) {
    walk++;
    let node = start;
    while (node >= 0 && seen[node] === 0) {
      seen[node] = walk;
      node = parentOf[node];
    }
    if (node < 0 || seen[node] !== walk) continue;
    let earliest = node;
    for (let one = parentOf[node]; one !== node; one = parentOf[one]) if (rank[one] < rank[earliest]) earliest = one;
    parentOf[earliest] = -1;
    ring[earliest] = 1;
  }
  return ring;
}

/** Sums errors, tokens and cost from the leaves up: children always stand behind their parent. */
function sumSubtrees(tree: Tree, input: readonly TreeInput[]): void {
  const add = (sum: number, value: number) => (Number.isNaN(value) ? sum : Number.isNaN(sum) ? value : sum + value);
  for (let at = 0; at < tree.order.length; at++) {
    const span = input[tree.order[at]];
    const counts = span.counted !== false;
    tree.errors[at] = span.status_code === "error" ? 1 : 0;
    tree.tokens[at] = counts ? (span.tokens ?? Number.NaN) : Number.NaN;
    tree.cost[at] = counts && span.cost_usd ? Number(span.cost_usd) : Number.NaN;
  }
  for (let at = tree.order.length - 1; at > 0; at--) {
    const parent = tree.parent[at];
    if (parent < 0) continue;
    tree.errors[parent] += tree.errors[at];
    tree.tokens[parent] = add(tree.tokens[parent], tree.tokens[at]);
    tree.cost[parent] = add(tree.cost[parent], tree.cost[at]);
  }
}

/** Lists the positions that are shown: all but those below a collapsed one. */
export function visibleRows(tree: Tree, collapsed: ReadonlySet<number>): Int32Array {
  const count = tree.order.length;
  if (collapsed.size === 0) return Int32Array.from({ length: count }, (_, i) => i);
  const rows = new Int32Array(count);
  let shown = 0;
  for (let at = 0; at < count; ) {
    rows[shown++] = at;
    at = collapsed.has(at) ? tree.end[at] : at + 1;
  }
  return rows.subarray(0, shown);
}

/** Returns every position that has children, for "collapse all"; roots stay open. */
export function collapsible(tree: Tree): Set<number> {
  const all = new Set<number>();
  for (let at = 0; at < tree.order.length; at++) if (tree.children[at] > 0 && tree.depth[at] > 0) all.add(at);
  return all;
}

/** Returns the ancestors' positions of a row, nearest first. */
export function ancestors(tree: Tree, position: number): number[] {
  const up: number[] = [];
  for (let at = tree.parent[position]; at >= 0; at = tree.parent[at]) up.push(at);
  return up;
}
