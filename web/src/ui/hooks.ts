/** Small hooks shared by the pages. */
import { useEffect, useRef, useState } from "preact/hooks";

/** Calls a handler for keys pressed anywhere but in a field; the newest handler is used. `first`: before all others. */
export function useHotkeys(handler: (key: string, event: KeyboardEvent) => boolean | void, first = false): void {
  const latest = useRef(handler);
  latest.current = handler;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
      if (isField(event.target) || document.querySelector("dialog[open]")) return;
      if (latest.current(event.key, event)) event.preventDefault();
    };
    document.addEventListener("keydown", listen, first);
    return () => document.removeEventListener("keydown", listen, first);
  }, []);
}

/** Tells whether keys typed there are text. */
export function isField(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement && /^(checkbox|radio)$/.test(target.type)) return false;
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName));
}

/** Follows a media query. */
export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => window.matchMedia(query).matches);
  useEffect(() => {
    const media = window.matchMedia(query);
    const update = () => setMatches(media.matches);
    update();
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, [query]);
  return matches;
}

/** True only after `flag` has held for a while, so that quick answers show no spinner. */
export function useDelayed(flag: boolean, ms = 250): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!flag) {
      setLate(false);
      return undefined;
    }
    const timer = setTimeout(() => setLate(true), ms);
    return () => clearTimeout(timer);
  }, [flag, ms]);
  return late;
}

/** Sets the document's title while a page is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Spanhouse` : "Spanhouse";
  }, [title]);
}

export const NARROW = "(max-width: 760px)";
