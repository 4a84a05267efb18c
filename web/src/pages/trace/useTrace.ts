/** Loads a trace: its totals with the first spans at once, the rest behind. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { getTrace } from "../../api/calls";
import { ApiError, isAbort, type SkeletonSpan, type TraceDetail } from "../../api/client";
import { buildTree, type Tree } from "../../trace/build";
import { frameOf, type TimeFrame } from "../../trace/layout";

const FIRST_PAGE = 2000;
const NEXT_PAGE = 20_000;

export interface LoadedTrace {
  trace: TraceDetail | null;
  spans: SkeletonSpan[];
  tree: Tree;
  frame: TimeFrame;
  loading: boolean;
  error: ApiError | null;
}

interface State {
  id: string;
  trace: TraceDetail | null;
  spans: SkeletonSpan[];
  loading: boolean;
  error: ApiError | null;
}

/** Follows a trace id; `stamp` changes to load it anew. What is shown stays until the new answer is there. */
export function useTrace(id: string, stamp: number): LoadedTrace {
  const [state, setState] = useState<State>({ id: "", trace: null, spans: [], loading: true, error: null });
  useEffect(() => {
    const abort = new AbortController();
    setState((old) => (old.id === id ? { ...old, loading: true } : { id, trace: null, spans: [], loading: true, error: null }));
    const load = async () => {
      const trace = await getTrace(id, { limit: FIRST_PAGE }, abort.signal);
      let spans = trace.spans;
      let cursor = trace.next_cursor;
      setState({ id, trace, spans, loading: cursor !== null, error: null });
      while (cursor) {
        const page = await getTrace(id, { limit: NEXT_PAGE, cursor }, abort.signal);
        spans = [...spans, ...page.spans];
        cursor = page.next_cursor;
        setState({ id, trace, spans, loading: cursor !== null, error: null });
      }
    };
    load().catch((error) => {
      if (isAbort(error)) return;
      setState((old) => ({ ...old, loading: false, error: error instanceof ApiError ? error : new ApiError(0, "unexpected", String(error)) }));
    });
    return () => abort.abort();
  }, [id, stamp]);

  const tree = useMemo(() => buildTree(state.spans), [state.spans]);
  const frame = useMemo(() => frameOf(state.spans), [state.spans]);
  // Until its effect has run, what is here belongs to the trace before.
  return { ...state, loading: state.loading || state.id !== id, tree, frame };
}
