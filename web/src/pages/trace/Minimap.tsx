/** The whole trace at a glance, above the tree: drag across it to look closer at a stretch of time. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { SkeletonSpan } from "../../api/client";
import type { Tree } from "../../trace/build";
import { percentOf, type TimeFrame } from "../../trace/layout";
import { inkNear, useThemeKey } from "../../ui/chart/palette";
import { knownCategory } from "../../ui/icons";

interface Props {
  spans: SkeletonSpan[];
  tree: Tree;
  whole: TimeFrame;
  zoom: TimeFrame | null;
  /** Milliseconds since the trace's start; null: all of it. */
  onZoom: (from: number | null, to: number) => void;
}

const HEIGHT = 42;
/** Pixels; a shorter drag is a click. */
const LEAST_DRAG = 4;
const MOST_ROW_PX = 5;

export function Minimap({ spans, tree, whole, zoom, onZoom }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const [width, setWidth] = useState(0);
  const theme = useThemeKey();

  useEffect(() => {
    const place = canvas.current?.parentElement;
    if (!place) return undefined;
    const observer = new ResizeObserver(() => setWidth(place.clientWidth));
    observer.observe(place);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current && width) draw(canvas.current, width, spans, tree, whole);
  }, [spans, tree, whole, width, theme]);

  const at = (event: PointerEvent & { currentTarget: Element }) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const moment = (share: number) => whole.from + share * (whole.to - whole.from);
  const shown = drag ? { from: Math.min(drag.from, drag.to) * 100, to: Math.max(drag.from, drag.to) * 100 } : zoom && { from: percentOf(zoom.from, whole), to: percentOf(zoom.to, whole) };
  return (
    <div
      class="minimap"
      aria-hidden="true"
      title={zoom ? "Drag for another stretch, double-click for all" : "Drag across a stretch to look closer"}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag({ from: at(event), to: at(event) });
      }}
      onPointerMove={(event) => drag && setDrag({ ...drag, to: at(event) })}
      onPointerUp={() => {
        if (drag && Math.abs(drag.to - drag.from) * width >= LEAST_DRAG) onZoom(moment(Math.min(drag.from, drag.to)), moment(Math.max(drag.from, drag.to)));
        setDrag(null);
      }}
      onPointerCancel={() => setDrag(null)}
      onDblClick={() => onZoom(null, 0)}
    >
      <canvas ref={canvas} />
      {shown && (
        <>
          <span class="minimap-out" style={{ left: 0, width: `${shown.from}%` }} />
          <span class="minimap-out" style={{ left: `${shown.to}%`, right: 0 }} />
          <span class="minimap-in" style={{ left: `${shown.from}%`, width: `${shown.to - shown.from}%` }} />
        </>
      )}
    </div>
  );
}

/** One thin line a span, in the tree's order; those that failed last, so that none hides them. */
function draw(canvas: HTMLCanvasElement, width: number, spans: SkeletonSpan[], tree: Tree, whole: TimeFrame): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  const pen = canvas.getContext("2d");
  if (!pen || !canvas.parentElement) return;
  const ink = inkNear(canvas.parentElement);
  pen.scale(ratio, ratio);
  const count = tree.order.length;
  const row = Math.min(MOST_ROW_PX, (HEIGHT - 6) / Math.max(1, count));
  const tall = Math.max(1, row - (row > 3 ? 1 : 0));
  for (const failed of [false, true]) {
    for (let position = 0; position < count; position++) {
      const span = spans[tree.order[position]];
      if ((span.status_code === "error") !== failed) continue;
      const from = (percentOf(span.start_ms, whole) / 100) * width;
      const to = (percentOf(span.start_ms + Math.max(0, span.duration_ms), whole) / 100) * width;
      pen.fillStyle = ink.of(failed ? "--error" : `--cat-${knownCategory(span.category)}`);
      pen.fillRect(from, 3 + position * row, Math.max(1, to - from), tall);
    }
  }
  ink.end();
}
