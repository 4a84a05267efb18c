/** The tree of a trace with its bars: a windowed treegrid. */
import { useEffect, useMemo } from "preact/hooks";
import type { SkeletonSpan } from "../../api/client";
import { formatCount, formatDuration, formatUsd } from "../../state/format";
import type { Tree } from "../../trace/build";
import { type CriticalPath, joinStretches } from "../../trace/critical";
import { barOf, percentOf, type TimeFrame, timeTicks } from "../../trace/layout";
import { isField, useHotkeys } from "../../ui/hooks";
import { Icon, knownCategory } from "../../ui/icons";
import { useWindow } from "../../ui/window";

export interface WaterfallProps {
  spans: SkeletonSpan[];
  tree: Tree;
  /** What is shown of the trace's time. */
  frame: TimeFrame;
  /** Where the trace begins: the axis counts from there. */
  origin: number;
  /** What held the trace up, where it is asked for. */
  path: CriticalPath | null;
  /** Positions shown, top to bottom. */
  rows: Int32Array;
  collapsed: ReadonlySet<number>;
  selected: number;
  matches: ReadonlySet<number>;
  narrow: boolean;
  /** Changes when the selected row is to be scrolled into view. */
  revealed: number;
  onSelect: (position: number) => void;
  onToggle: (position: number, open?: boolean) => void;
}

const ROW = 28;
const ROW_NARROW = 46;
const INDENT = 14;
/** Deeper rows are not indented further: a chain of thousands must stay readable. */
const MOST_INDENT = 14;

export function Waterfall(props: WaterfallProps) {
  const { tree, rows, collapsed, selected, narrow, frame } = props;
  const rowHeight = narrow ? ROW_NARROW : ROW;
  const { element, range, measure, reveal } = useWindow(rows.length, rowHeight, 5);
  const selectedRow = useMemo(() => indexOf(rows, selected), [rows, selected]);

  useEffect(() => {
    if (selectedRow >= 0) reveal(selectedRow);
  }, [props.revealed]);

  const go = (row: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, row));
    if (!rows.length) return;
    props.onSelect(rows[next]);
    reveal(next);
  };
  const key = (name: string, event: KeyboardEvent): boolean => {
    const inDetail = event.target instanceof Element && event.target.closest(".detail, .trace-head, .topbar") !== null;
    const here = selectedRow < 0 ? 0 : selectedRow;
    const at = rows[here];
    if (name === "j") go(selectedRow + 1);
    else if (name === "k") go(here - 1);
    else if (inDetail || isField(event.target)) return false;
    else if (name === "ArrowDown") go(selectedRow + 1);
    else if (name === "ArrowUp") go(here - 1);
    else if (name === "Home") go(0);
    else if (name === "End") go(rows.length - 1);
    else if (name === "PageDown") go(here + 20);
    else if (name === "PageUp") go(here - 20);
    else if (name === "ArrowRight") {
      if (tree.children[at] && collapsed.has(at)) props.onToggle(at, true);
      else if (tree.children[at]) go(here + 1);
    } else if (name === "ArrowLeft") {
      if (tree.children[at] && !collapsed.has(at)) props.onToggle(at, false);
      else if (tree.parent[at] >= 0) go(indexOf(rows, tree.parent[at]));
    } else return false;
    return true;
  };
  useHotkeys(key);
  // The focus follows the selection, but is never taken from a field or the panel.
  useEffect(() => {
    const focused = document.activeElement;
    if (focused && focused !== document.body && !element.current?.contains(focused)) return;
    element.current?.querySelector<HTMLElement>('[aria-selected="true"]')?.focus({ preventScroll: true });
  }, [selected, range.start, range.end]);

  const ticks = timeTicks(frame, narrow ? 3 : 5, props.origin);
  return (
    <div class={`waterfall${narrow ? " waterfall-narrow" : ""}`}>
      <div class="waterfall-head" aria-hidden="true">
        <span class="wf-name">Span</span>
        <span class="wf-figure">Tokens</span>
        <span class="wf-figure">Cost</span>
        <span class="wf-time num">
          {ticks.map((tick) => (
            <span key={tick} style={{ left: `${percentOf(tick + props.origin, frame)}%` }}>
              {formatDuration(tick)}
            </span>
          ))}
        </span>
      </div>
      <div
        ref={element}
        class="waterfall-rows"
        role="treegrid"
        aria-label="Spans of the trace"
        aria-rowcount={rows.length}
        tabIndex={selectedRow < 0 || selectedRow < range.start || selectedRow >= range.end ? 0 : -1}
        onScroll={measure}
        style={{ "--row": `${rowHeight}px` }}
      >
        <div class="waterfall-body" role="rowgroup" style={{ height: `${rows.length * rowHeight}px` }}>
          {Array.from({ length: range.end - range.start }, (_, offset) => {
            const row = range.start + offset;
            return <Row key={rows[row]} {...props} position={rows[row]} row={row} top={row * rowHeight} />;
          })}
        </div>
      </div>
    </div>
  );
}

function Row({ spans, tree, frame, path, collapsed, selected, matches, narrow, position, row, top, onSelect, onToggle }: WaterfallProps & { position: number; row: number; top: number }) {
  const span = spans[tree.order[position]];
  const parent = tree.children[position] > 0;
  const shut = collapsed.has(position);
  const failed = span.status_code === "error";
  const hidden = shut ? tree.errors[position] - (failed ? 1 : 0) : 0;
  const depth = Math.min(tree.depth[position], MOST_INDENT);
  const strange = tree.orphans.has(position) ? "Its parent has not arrived" : tree.rings.has(position) ? "Its parents form a ring" : "";
  return (
    <div
      role="row"
      class={`wf-row${matches.has(position) ? " wf-match" : ""}${path && !path.own.has(position) ? " wf-aside" : ""}${failed ? " wf-failed" : ""}`}
      aria-level={tree.depth[position] + 1}
      aria-posinset={tree.place[position]}
      aria-setsize={tree.siblings[position]}
      aria-rowindex={row + 1}
      aria-expanded={parent ? !shut : undefined}
      aria-selected={position === selected}
      tabIndex={position === selected ? 0 : -1}
      style={{ transform: `translateY(${top}px)`, "--cat": `var(--cat-${knownCategory(span.category)})`, "--indent": `${depth * INDENT}px` }}
      onClick={(event) => {
        if ((event.target as Element).closest(".wf-toggle")) onToggle(position);
        else onSelect(position);
      }}
      onDblClick={() => parent && onToggle(position)}
    >
      <div role="gridcell" class="wf-name">
        <span class={parent ? `wf-toggle${shut ? "" : " open"}` : "wf-leaf"} />
        <Icon name={knownCategory(span.category)} size={14} class="wf-icon" />
        <span class="ellipsis" title={strange ? `${span.name}\n${strange}` : span.name}>
          {span.name || "(no name)"}
        </span>
        {shut && <span class="wf-hidden num">{formatCount(tree.end[position] - position - 1)}</span>}
        {strange && <Icon name="warning" size={13} class="warn-text" />}
        {(failed || hidden > 0) && <Icon name="error" size={13} class="error-text" />}
      </div>
      {!narrow && <Figures span={span} tokens={tree.tokens[position]} cost={tree.cost[position]} parent={parent} />}
      <Timeline span={span} frame={frame} stretches={path?.stretches.get(position)} own={path?.own.get(position)} />
    </div>
  );
}

function Figures({ span, tokens, cost, parent }: { span: SkeletonSpan; tokens: number; cost: number; parent: boolean }) {
  const own = span.tokens !== null && span.tokens !== undefined;
  const rolled = parent && (!own || span.counted === false) && !Number.isNaN(tokens);
  const ownCost = span.cost_usd && span.counted !== false;
  return (
    <>
      <div role="gridcell" class={`wf-figure num${rolled || span.counted === false ? " wf-rolled" : ""}`} title={rolled ? "Sum of the spans below" : span.counted === false ? "Shown, but counted elsewhere" : undefined}>
        {rolled ? formatCount(tokens) : own ? formatCount(span.tokens) : ""}
      </div>
      <div role="gridcell" class={`wf-figure num${ownCost ? "" : " wf-rolled"}`} title={ownCost ? `$${span.cost_usd}` : undefined}>
        {ownCost ? formatUsd(span.cost_usd) : Number.isNaN(cost) ? "" : formatUsd(cost)}
      </div>
    </>
  );
}

/** Stretches of a row that lie closer than this cannot be told apart. */
const LEAST_GAP_PERCENT = 0.4;

function Timeline({ span, frame, stretches, own }: { span: SkeletonSpan; frame: TimeFrame; stretches?: [number, number][]; own?: number }) {
  const bar = barOf(span, frame);
  if (bar.beyond) {
    return (
      <div role="gridcell" class="wf-time num">
        <span class="wf-label wf-beyond" style={{ [bar.beyond]: 0 }}>
          {bar.beyond === "left" && "‹ "}
          {formatDuration(span.duration_ms)}
          {bar.beyond === "right" && " ›"}
        </span>
      </div>
    );
  }
  const token = span.ttft_ms && span.duration_ms > 0 ? percentOf(span.start_ms + Math.min(span.ttft_ms, span.duration_ms), frame) : 0;
  const first = bar.width > 0 ? Math.max(0, Math.min(100, ((token - bar.left) / bar.width) * 100)) : 0;
  const label = {
    after: { left: `calc(${bar.left + bar.width}% + 6px)` },
    before: { right: `calc(${100 - bar.left}% + 6px)` },
    inside: { right: `calc(${100 - bar.left - bar.width}% + 6px)` },
  }[bar.label];
  const paint = first > 0 ? { background: `linear-gradient(90deg, color-mix(in srgb, var(--cat) 42%, var(--bg)) ${first}%, var(--cat) ${first}%)` } : {};
  const held = stretches ? joinStretches(stretches, ((frame.to - frame.from) * LEAST_GAP_PERCENT) / 100) : [];
  return (
    <div role="gridcell" class="wf-time num" title={own === undefined ? undefined : `${formatDuration(own)} on the critical path`}>
      <span class="wf-bar" style={{ left: `${bar.left}%`, width: `${bar.width}%`, ...paint }} />
      {held.map(([from, to]) => {
        const part = barOf({ start_ms: from, duration_ms: to - from }, frame);
        return part.beyond ? null : <span key={from} class="wf-critical" style={{ left: `${part.left}%`, width: `${part.width}%` }} />;
      })}
      <span class={bar.label === "inside" ? "wf-label inside" : "wf-label"} style={label}>
        {formatDuration(span.duration_ms)}
      </span>
    </div>
  );
}

/** Finds a position among the rows, which ascend. */
function indexOf(rows: Int32Array, position: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (rows[middle] === position) return middle;
    if (rows[middle] < position) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
