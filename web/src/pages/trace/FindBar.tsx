/** Finding within the trace: names at once from the tree, texts of messages a moment later from the server. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { listSpans } from "../../api/calls";
import type { SkeletonSpan } from "../../api/client";
import type { Tree } from "../../trace/build";
import { findSpans } from "../../trace/find";
import { useHotkeys } from "../../ui/hooks";
import { Icon } from "../../ui/icons";
import { Button } from "../../ui/kit";

export interface Find {
  text: string;
  set: (text: string) => void;
  matches: ReadonlySet<number>;
  /** Ascending. */
  positions: number[];
  /** True while the server looks through the messages. */
  searching: boolean;
}

const MOST_PAGES = 5;

/** Searches the whole trace for `text`. */
export function useFind(traceId: string, spans: readonly SkeletonSpan[], tree: Tree): Find {
  const [text, set] = useState("");
  const [deep, setDeep] = useState<{ text: string; ids: Set<string> }>({ text: "", ids: new Set() });
  const [searching, setSearching] = useState(false);
  useEffect(() => {
    const wanted = text.trim();
    if (wanted.length < 2) {
      setSearching(false);
      return undefined;
    }
    const abort = new AbortController();
    const search = async () => {
      const ids = new Set<string>();
      let cursor: string | null | undefined;
      const q = `trace:${traceId} text~"${wanted.replace(/["\\]/g, "\\$&")}"`;
      for (let page = 0; page < MOST_PAGES; page++) {
        const reply = await listSpans({ q, sort: "", limit: 200, cursor: cursor ?? undefined }, abort.signal);
        for (const span of reply.items) ids.add(span.span_id);
        cursor = reply.next_cursor;
        if (!cursor) break;
      }
      setDeep({ text: wanted, ids });
    };
    setSearching(true);
    const timer = setTimeout(() => {
      // Words that the server cannot search for are still found in names.
      search()
        .catch(() => undefined)
        .finally(() => !abort.signal.aborted && setSearching(false));
    }, 300);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [traceId, text]);

  const found = useMemo(() => {
    const ids = findSpans(spans, text);
    if (deep.text === text.trim()) for (const id of deep.ids) ids.add(id);
    const positions = [...ids].map((id) => tree.position.get(id) ?? -1).filter((at) => at >= 0);
    positions.sort((a, b) => a - b);
    return { positions, matches: new Set(positions) };
  }, [spans, tree, text, deep]);
  return { text, set, ...found, searching };
}

interface Props {
  find: Find;
  selected: number;
  critical: boolean;
  zoomed: boolean;
  onStep: (way: 1 | -1) => void;
  onCritical: () => void;
  onWhole: () => void;
  onCollapseAll: () => void;
  onExpandAll: () => void;
}

export function FindBar({ find, selected, critical, zoomed, onStep, onCritical, onWhole, onCollapseAll, onExpandAll }: Props) {
  const input = useRef<HTMLInputElement>(null);
  useHotkeys((key) => {
    if (key !== "/") return false;
    input.current?.focus();
    input.current?.select();
    return true;
  });
  const at = find.positions.indexOf(selected);
  return (
    <div class="find">
      <Icon name="search" size={14} class="muted" />
      <input
        ref={input}
        class="find-input"
        type="text"
        value={find.text}
        placeholder="Find in this trace"
        aria-label="Find in this trace"
        spellcheck={false}
        onInput={(event) => find.set(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") onStep(event.shiftKey ? -1 : 1);
          else if (event.key === "Escape") {
            find.set("");
            input.current?.blur();
          } else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      {find.text && (
        <>
          <span class="find-count num" role="status">
            {find.positions.length ? `${at >= 0 ? at + 1 : "–"} of ${find.positions.length}` : find.searching ? "…" : "none"}
          </span>
          <Button icon="down" label="Next match (n)" class="find-step" disabled={!find.positions.length} onClick={() => onStep(1)} />
          <Button icon="down" label="Previous match (N)" class="find-step up" disabled={!find.positions.length} onClick={() => onStep(-1)} />
        </>
      )}
      {zoomed && (
        <Button look="outline" class="find-whole" title="Show the whole trace (f)" onClick={onWhole}>
          Whole trace
        </Button>
      )}
      <Button icon="route" label="Critical path: what held the trace up (c)" class="find-critical" aria-pressed={critical} onClick={onCritical} />
      <Button icon="collapse" label="Collapse all ([)" onClick={onCollapseAll} />
      <Button icon="expand" label="Expand all (])" onClick={onExpandAll} />
    </div>
  );
}
