/** Asking the API for what a part of a page shows. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, isAbort, UNREACHABLE } from "../api/client";
import { useRetry } from "./Reach";

export interface Loaded<T> {
  /** What came last; while a newer answer is awaited it is that of the question before. */
  data: T | null;
  error: ApiError | null;
  loading: boolean;
}

/** Asks anew whenever `key` changes; an empty key asks nothing. An answer that comes too late is dropped. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<Loaded<T>>({ data: null, error: null, loading: key !== "" });
  const [tries, setTries] = useState(0);
  useRetry(state.error, () => setTries((n) => n + 1));
  useEffect(() => {
    if (!key) return undefined;
    const abort = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    load(abort.signal).then(
      (data) => !abort.signal.aborted && setState({ data, error: null, loading: false }),
      (error) => {
        if (isAbort(error) || abort.signal.aborted) return;
        setState((old) => ({ data: old.data, error: toError(error), loading: false }));
      },
    );
    return () => abort.abort();
  }, [key, tries]);
  return state;
}

/** For what asks anew by itself: what was there stays readable while it does, and while the server is away. */
export function steady<T>(of: Loaded<T>): Loaded<T> {
  if (of.data === null) return of;
  return { data: of.data, error: of.error?.code === UNREACHABLE ? null : of.error, loading: false };
}

/** Asks again every `ms` while the page is in view; the number changes each time. */
export function useBeat(ms: number): number {
  const [beat, setBeat] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && setBeat((n) => n + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return beat;
}

/** Brings whatever was thrown to the one shape of errors. */
export function toError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "unexpected", error instanceof Error ? error.message : String(error));
}
