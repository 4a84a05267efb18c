/** Loads the list page by page, and keeps it alive when asked to. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { listSpans, listTraces } from "../../api/calls";
import { ApiError, apiRoot, isAbort } from "../../api/client";
import { place, projectOf } from "../../router";
import { apiTime, resolveRange } from "../../state/time";
import type { View } from "../../state/view";
import { mergeRows, type Row, spanRow, traceRow } from "./rows";

export interface ListState {
  rows: Row[];
  /** True until the first page of the current view is there; the rows are those of the view before. */
  loading: boolean;
  loadingMore: boolean;
  hasMore: boolean;
  error: ApiError | null;
  /** The instants the view's range stood for when it was loaded. */
  from: number | null;
  to: number | null;
  loadedAt: number;
}

const PAGE = 100;
/** With more rows than this the live list drops the oldest. */
const LIVE_ROWS = 1000;

const START: ListState = { rows: [], loading: true, loadingMore: false, hasMore: false, error: null, from: null, to: null, loadedAt: 0 };

function fetchPage(view: View, from: number | null, to: number | null, cursor: string | undefined, signal: AbortSignal) {
  const params = { q: view.q, sort: view.sort, from: apiTime(from), to: apiTime(to), cursor, limit: PAGE };
  return view.rows === "traces"
    ? listTraces(params, signal).then((page) => ({ rows: page.items.map(traceRow), next: page.next_cursor }))
    : listSpans(params, signal).then((page) => ({ rows: page.items.map(spanRow), next: page.next_cursor }));
}

/** Loads what a view shows. `stamp` changes to load it anew. */
export function useList(view: View, stamp: number) {
  const [state, setState] = useState<ListState>(START);
  const cursor = useRef<string | null>(null);
  const running = useRef<AbortController | null>(null);
  const viewKey = `${view.rows}|${view.q}|${view.range}|${view.sort}|${stamp}`;

  useEffect(() => {
    const abort = new AbortController();
    running.current?.abort();
    running.current = abort;
    const now = Date.now();
    const span = resolveRange(view.range, now) ?? { from: null, to: null };
    setState((old) => ({ ...old, loading: true, loadingMore: false }));
    fetchPage(view, span.from, span.to, undefined, abort.signal).then(
      (page) => {
        cursor.current = page.next;
        setState({ ...START, ...span, rows: page.rows, hasMore: page.next !== null, loading: false, loadedAt: now });
      },
      (error) => {
        if (isAbort(error)) return;
        setState((old) => ({ ...START, rows: old.rows, ...span, loading: false, loadedAt: now, error: asApiError(error) }));
      },
    );
    return () => abort.abort();
  }, [viewKey]);

  const more = useCallback(() => {
    const abort = running.current;
    if (!abort || !cursor.current) return;
    const wanted = cursor.current;
    cursor.current = null;
    setState((old) => ({ ...old, loadingMore: true }));
    fetchPage(view, state.from, state.to, wanted, abort.signal).then(
      (page) => {
        cursor.current = page.next;
        setState((old) => {
          const known = new Set(old.rows.map((row) => row.key));
          return { ...old, rows: [...old.rows, ...page.rows.filter((row) => !known.has(row.key))], hasMore: page.next !== null, loadingMore: false };
        });
      },
      (error) => {
        if (isAbort(error)) return;
        cursor.current = wanted;
        setState((old) => ({ ...old, loadingMore: false, error: asApiError(error) }));
      },
    );
  }, [viewKey, state.from, state.to]);

  const arrive = useCallback((arrived: Row[]) => {
    setState((old) => ({ ...old, rows: mergeRows(old.rows, arrived).rows.slice(0, LIVE_ROWS + PAGE) }));
  }, []);

  return { state, more, arrive };
}

export interface LiveState {
  /** "off", or how the stream stands. */
  status: "off" | "connecting" | "open" | "lost";
  /** Arrived while paused and not shown yet. */
  waiting: number;
  missed: number;
}

/** Follows arrivals; `reopened` is called after an interruption, of which nothing is told later. While `paused` they are counted and kept; the rest goes to `arrive` at once. */
export function useLive(view: View, paused: boolean, arrive: (rows: Row[]) => void, reopened: () => void) {
  const [live, setLive] = useState<LiveState>({ status: "off", waiting: 0, missed: 0 });
  const held = useRef(new Map<string, Row>());
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  const gap = useRef(false);
  const on = view.live && view.rows === "traces";

  const release = useCallback(() => {
    if (held.current.size) arrive([...held.current.values()]);
    held.current.clear();
    setLive((old) => ({ ...old, waiting: 0 }));
    if (gap.current) reopened();
    gap.current = false;
  }, [arrive]);

  useEffect(() => {
    if (!on) {
      setLive({ status: "off", waiting: 0, missed: 0 });
      return undefined;
    }
    setLive({ status: "connecting", waiting: 0, missed: 0 });
    held.current.clear();
    const address = new URL("api/v1/live", apiRoot);
    if (view.q) address.searchParams.set("q", view.q);
    const project = projectOf(place.value.params);
    if (project) address.searchParams.set("project", project);
    const source = new EventSource(address, { withCredentials: true });
    let before = false;
    source.onopen = () => {
      setLive((old) => ({ ...old, status: "open" }));
      // A list that is being read must not move: it catches up when it goes on.
      if (before && pausedNow.current) gap.current = true;
      else if (before) reopened();
      before = true;
    };
    source.onerror = () => setLive((old) => ({ ...old, status: source.readyState === EventSource.CLOSED ? "lost" : "connecting" }));
    source.addEventListener("traces", (event) => {
      const data = JSON.parse((event as MessageEvent<string>).data) as { items: Parameters<typeof traceRow>[0][]; missed: number };
      const rows = data.items.map(traceRow);
      if (pausedNow.current) for (const row of rows) held.current.set(row.key, row);
      else arrive(rows);
      setLive((old) => ({ ...old, status: "open", waiting: held.current.size, missed: old.missed + data.missed }));
    });
    return () => source.close();
  }, [on, view.q, arrive]);

  useEffect(() => {
    if (!paused) release();
  }, [paused, release]);

  return { live, release };
}

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "unexpected", String(error));
}
