/** Windowing: of a long list of equal rows only those in view are in the document. */
import { useCallback, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Range {
  start: number;
  end: number;
}

/** Returns which rows are to be drawn. */
export function windowRange(scrollTop: number, height: number, rowHeight: number, count: number, overscan: number): Range {
  const first = Math.floor(scrollTop / rowHeight) - overscan;
  const last = Math.ceil((scrollTop + height) / rowHeight) + overscan;
  return { start: Math.max(0, Math.min(first, count)), end: Math.max(0, Math.min(last, count)) };
}

/** Returns the scroll offset that brings a row into view, or null when it is in view already. */
export function offsetFor(index: number, scrollTop: number, height: number, rowHeight: number, header = 0): number | null {
  const top = index * rowHeight;
  const bottom = top + rowHeight;
  if (top < scrollTop) return Math.max(0, top - rowHeight);
  if (bottom > scrollTop + height - header) return bottom + rowHeight - height + header;
  return null;
}

/** Keeps track of a scrolling element and of the rows in its view. */
export function useWindow(count: number, rowHeight: number, overscan = 6) {
  const element = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<Range>({ start: 0, end: Math.min(count, 40) });

  const measure = useCallback(() => {
    const box = element.current;
    if (!box) return;
    const next = windowRange(box.scrollTop, box.clientHeight, rowHeight, count, overscan);
    setRange((last) => (last.start === next.start && last.end === next.end ? last : next));
  }, [count, rowHeight, overscan]);

  useLayoutEffect(() => {
    measure();
    const box = element.current;
    if (!box) return undefined;
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, [measure]);

  const reveal = useCallback(
    (index: number, header = 0) => {
      const box = element.current;
      if (!box) return;
      const offset = offsetFor(index, box.scrollTop, box.clientHeight, rowHeight, header);
      if (offset !== null) box.scrollTop = offset;
    },
    [rowHeight],
  );

  return { element, range: { start: Math.min(range.start, count), end: Math.min(range.end, count) }, measure, reveal };
}
