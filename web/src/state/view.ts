/** What the list shows, as the URL says it: URL before preference before default. */
import { href } from "../router";
import { DEFAULT_RANGE, resolveRange } from "./time";

export type RowKind = "traces" | "spans";

export interface View {
  rows: RowKind;
  q: string;
  range: string;
  /** As the API takes it: a field, with "-" before it for descending. */
  sort: string;
  live: boolean;
}

export const DEFAULT_SORT = "-start_time";
const SORTS = /^-?(start_time|duration|cost|tokens|errors|ttft)$/;

/** Reads a view; what makes no sense falls back to the default, so that an old link still opens. */
export function readView(params: URLSearchParams, now: number): View {
  const range = params.get("range") ?? DEFAULT_RANGE;
  const sort = params.get("sort") ?? DEFAULT_SORT;
  return {
    rows: params.get("rows") === "spans" ? "spans" : "traces",
    q: params.get("q") ?? "",
    range: resolveRange(range, now) ? range : DEFAULT_RANGE,
    sort: SORTS.test(sort) ? sort : DEFAULT_SORT,
    live: params.get("live") === "1",
  };
}

/** Writes a view's parameters, defaults left out. */
export function viewParams(view: View): Record<string, string | undefined> {
  return {
    rows: view.rows === "traces" ? undefined : view.rows,
    q: view.q || undefined,
    range: view.range === DEFAULT_RANGE ? undefined : view.range,
    sort: view.sort === DEFAULT_SORT ? undefined : view.sort,
    live: view.live ? "1" : undefined,
  };
}

/** Writes the address of a view. */
export function viewHref(view: Partial<View>): string {
  return href("traces", viewParams({ rows: "traces", q: "", range: DEFAULT_RANGE, sort: DEFAULT_SORT, live: false, ...view }));
}
