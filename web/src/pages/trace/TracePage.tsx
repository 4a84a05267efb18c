/** One trace: totals, tree with waterfall, and the selected span beside it. The selection stands in the URL. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { href, navigate, place, setParams } from "../../router";
import { capital } from "../../state/format";
import { prefs, setPrefs } from "../../state/prefs";
import { ancestors, collapsible, visibleRows } from "../../trace/build";
import { criticalPath } from "../../trace/critical";
import { nextMatch } from "../../trace/find";
import { firstToShow } from "../../trace/first";
import { readZoom, type TimeFrame, writeZoom, zoomBy, zoomTo } from "../../trace/layout";
import { NARROW, useDelayed, useHotkeys, useMedia, useTitle } from "../../ui/hooks";
import { Button, copyText, Notice, say } from "../../ui/kit";
import { useRetry } from "../../ui/Reach";
import { Detail } from "./Detail";
import { FindBar, useFind } from "./FindBar";
import { Minimap } from "./Minimap";
import { TraceHeader } from "./TraceHeader";
import { useTrace } from "./useTrace";
import { Waterfall } from "./Waterfall";
import "../../styles/trace.css";
import "../../styles/waterfall.css";
import "../../styles/detail.css";
import "../../styles/content.css";
import "../../styles/chat.css";

const NONE: ReadonlySet<number> = new Set();

export function TracePage() {
  const id = place.value.params.get("id") ?? "";
  const wanted = place.value.params.get("span") ?? "";
  const [stamp, setStamp] = useState(0);
  const { trace, spans, tree, frame: whole, loading, error } = useTrace(id, stamp);
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(NONE);
  const [revealed, setRevealed] = useState(0);
  const narrow = useMedia(NARROW);
  const slow = useDelayed(loading && !trace);
  const find = useFind(id, spans, tree);
  const rows = useMemo(() => visibleRows(tree, collapsed), [tree, collapsed]);
  const zoom = useMemo(() => readZoom(place.value.params.get("zoom") ?? "", whole), [place.value.params.get("zoom"), whole]);
  const frame = zoom ?? whole;
  const critical = prefs.value.critical;
  const path = useMemo(() => (critical ? criticalPath(spans, tree) : null), [critical, spans, tree]);
  useTitle(trace?.name ?? "Trace");

  // Positions mean another span once more of the trace is loaded.
  useEffect(() => setCollapsed(NONE), [tree]);
  const fallback = useMemo(() => (narrow ? "" : firstToShow(spans, tree)), [spans, tree, narrow]);
  const shown = wanted || fallback;
  const selected = tree.position.get(shown) ?? -1;
  // A long trace comes in parts: the span may be in a later one, or end up elsewhere. Once all is there, scrolling is the reader's.
  const arrived = useRef("");
  useEffect(() => {
    if (!tree.order.length || arrived.current === id) return;
    if (!loading) arrived.current = id;
    setRevealed((n) => n + 1);
  }, [tree, loading, id]);

  const open = (positions: number[]) =>
    setCollapsed((old) => {
      if (!positions.some((at) => old.has(at))) return old;
      const next = new Set(old);
      for (const at of positions) next.delete(at);
      return next;
    });
  const select = useCallback((position: number) => {
    const span = spans[tree.order[position]];
    // On a phone the span covers the tree, so that Back must lead to the tree again.
    if (span) setParams({ span: span.span_id }, { replace: !narrow });
  }, [spans, tree, narrow]);
  const jump = (position: number) => {
    if (position < 0) return;
    open(ancestors(tree, position));
    select(position);
    setRevealed((n) => n + 1);
  };
  const toggle = useCallback((position: number, show?: boolean) => {
    setCollapsed((old) => {
      const next = new Set(old);
      if (show ?? old.has(position)) next.delete(position);
      else next.add(position);
      return next;
    });
  }, []);
  const reload = () => setStamp((n) => n + 1);
  useRetry(error, reload);
  // What is shown stays; that it could not be loaded anew must be known.
  useEffect(() => {
    if (error && trace) say(capital(error.message));
  }, [error]);
  const link = () => copyText(new URL(href("trace", { ...Object.fromEntries(place.value.params), span: shown || undefined }), window.location.origin).href, "Link copied");
  const back = () => navigate(lastListHref());
  const step = (way: 1 | -1) => jump(nextMatch(find.positions, selected, way));

  const setZoom = (next: TimeFrame | null) => setParams({ zoom: writeZoom(next) }, { replace: true });
  const focus = spans[tree.order[Math.max(0, selected)]];
  /** Zooms to the selected span; where that is what is shown, back to all. */
  const fit = () => {
    if (!focus) return;
    const next = zoomTo(whole, focus.start_ms, focus.start_ms + Math.max(0, focus.duration_ms));
    setZoom(writeZoom(next) === writeZoom(zoom) ? null : next);
  };
  const closer = (factor: number) => focus && setZoom(zoomBy(whole, frame, focus.start_ms + Math.max(0, focus.duration_ms) / 2, factor));
  const flipCritical = () => setPrefs({ critical: !critical });

  useHotkeys((key) => {
    if (key === "Escape") {
      if (find.text) find.set("");
      else if (zoom) setZoom(null);
      else if (narrow && wanted) setParams({ span: undefined });
      else back();
    } else if (key === "[") setCollapsed(collapsible(tree));
    else if (key === "]") setCollapsed(NONE);
    else if (key === "f") fit();
    else if (key === "+" || key === "=") closer(0.5);
    else if (key === "-") closer(2);
    else if (key === "c") flipCritical();
    else if (key === "n") step(1);
    else if (key === "N") step(-1);
    else if (key === "y") void link();
    else if (key === "r") reload();
    else return false;
    return true;
  });

  if (error && !trace) {
    return (
      <div class="page-center">
        <Notice kind="error" title={error.status === 404 ? "There is no such trace" : error.message} heading>
          <p>{error.status === 404 ? "It may have been deleted when its time was over, or it has not arrived yet." : error.hint}</p>
          <div class="notice-actions">
            <Button look="outline" icon="reload" onClick={reload}>
              Try again
            </Button>
            <Button look="outline" icon="left" onClick={() => navigate(href("traces"))}>
              To the list
            </Button>
          </div>
        </Notice>
      </div>
    );
  }
  if (!trace) return slow ? <p class="page-center muted">Loading the trace…</p> : null;

  const detail = shown && (selected >= 0 || !loading) && (
    <Detail traceId={id} spanId={shown} stamp={stamp} onClose={narrow ? () => setParams({ span: undefined }) : undefined} onSelect={(spanId) => jump(tree.position.get(spanId) ?? -1)} />
  );
  return (
    <div class="trace">
      <TraceHeader trace={trace} loading={loading} loaded={spans.length} onReload={reload} onCopyLink={link} onBack={back} />
      <div class="trace-body" style={{ "--tree": `${prefs.value.treeWidth}%` }}>
        <section class="trace-tree" aria-label="Tree">
          <FindBar
            find={find}
            selected={selected}
            critical={critical}
            zoomed={zoom !== null}
            onStep={step}
            onCritical={flipCritical}
            onWhole={() => setZoom(null)}
            onCollapseAll={() => setCollapsed(collapsible(tree))}
            onExpandAll={() => setCollapsed(NONE)}
          />
          {!narrow && <Minimap spans={spans} tree={tree} whole={whole} zoom={zoom} onZoom={(from, to) => setZoom(from === null ? null : zoomTo(whole, from, to))} />}
          <Waterfall
            spans={spans}
            tree={tree}
            frame={frame}
            origin={whole.from}
            path={path}
            rows={rows}
            collapsed={collapsed}
            selected={selected}
            matches={find.matches}
            narrow={narrow}
            revealed={revealed}
            onSelect={select}
            onToggle={toggle}
          />
        </section>
        {!narrow && <Divider />}
        {narrow ? detail && <div class="trace-sheet">{detail}</div> : <div class="trace-detail">{detail}</div>}
      </div>
    </div>
  );
}

/** Where Esc leads: the list as it was last seen. */
function lastListHref(): string {
  return sessionStorage.getItem("spanhouse.list") ?? href("traces");
}

/** The line between tree and panel: dragged, or moved with the arrow keys. */
function Divider() {
  const moving = useRef(false);
  const set = (percent: number) => setPrefs({ treeWidth: Math.round(Math.max(25, Math.min(75, percent)) * 10) / 10 });
  return (
    <div
      class="divider"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the tree"
      aria-valuenow={Math.round(prefs.value.treeWidth)}
      aria-valuemin={25}
      aria-valuemax={75}
      tabIndex={0}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        moving.current = true;
      }}
      onPointerMove={(event) => {
        const box = event.currentTarget.parentElement?.getBoundingClientRect();
        if (moving.current && box) set(((event.clientX - box.left) / box.width) * 100);
      }}
      onPointerUp={() => (moving.current = false)}
      onKeyDown={(event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        event.stopPropagation();
        set(prefs.value.treeWidth + (event.key === "ArrowLeft" ? -2 : 2));
      }}
      onDblClick={() => set(54)}
    />
  );
}
