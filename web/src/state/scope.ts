/** What pages of figures look at: a filter and a stretch of time with both ends, cut into buckets. */
import { useEffect, useState } from "preact/hooks";
import { listTraces } from "../api/calls";
import { navigate, href, place } from "../router";
import { cutRange, resolveRange } from "./time";

export interface Scope {
  q: string;
  range: string;
  /** Milliseconds; `from` lies on a bucket's edge where the range is counted from now. */
  from: number;
  to: number;
  /** Seconds. */
  interval: number;
  /** Names all of this: equal keys ask for the same figures. Empty while the ends are not known. */
  key: string;
}

/** The stretch of equal length just before. */
export function periodBefore(scope: Scope): { from: number; to: number } {
  return { from: scope.from - (scope.to - scope.from), to: scope.from };
}

export interface ScopeControls {
  scope: Scope;
  /** Changes parameters of the page's address; a filter or range among them. */
  set: (changes: Record<string, string | undefined>) => void;
  reload: () => void;
}

/** Reads filter and range from the address. */
export function useScope(usual: string): ScopeControls {
  const params = place.value.params;
  const q = params.get("q") ?? "";
  const asked = params.get("range") ?? usual;
  const range = resolveRange(asked, Date.now()) ? asked : usual;
  const [stamp, setStamp] = useState(0);
  const [cut, setCut] = useState<{ name: string; ends: ReturnType<typeof cutRange> }>({ name: "", ends: null });
  const name = `${range}|${stamp}`;

  useEffect(() => {
    const now = Date.now();
    if (resolveRange(range, now)?.from !== null) return setCut({ name, ends: cutRange(range, now, null) });
    const abort = new AbortController();
    const hour = now - 3_600_000;
    listTraces({ q: "", sort: "start_time", limit: 1 }, abort.signal).then(
      (page) => setCut({ name, ends: cutRange(range, now, page.items.length ? Date.parse(page.items[0].start_time) : hour) }),
      () => !abort.signal.aborted && setCut({ name, ends: cutRange(range, now, hour) }),
    );
    return () => abort.abort();
  }, [name]);

  const ends = cut.ends ?? { from: 0, to: 0, interval: 60 };
  return {
    scope: { q, range, ...ends, key: cut.name === name && cut.ends ? `${q}|${name}|${ends.from}` : "" },
    set: (changes) => {
      const next = new URLSearchParams(place.value.params);
      for (const [key, value] of Object.entries(changes)) {
        if (value && !(key === "range" && value === usual)) next.set(key, value);
        else next.delete(key);
      }
      navigate(href(place.value.page, next));
    },
    reload: () => setStamp((n) => n + 1),
  };
}
