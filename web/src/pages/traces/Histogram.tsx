/** Spans over time, errors in front; dragging across picks a range. */
import { useEffect, useRef, useState } from "preact/hooks";
import { getMetric, listTraces } from "../../api/calls";
import { formatExact, plural } from "../../state/format";
import { absolute, apiTime, bucketSeconds } from "../../state/time";
import type { View } from "../../state/view";
import { axisTicks } from "../../ui/chart/ticks";
import { barPath, type Bars, prepareBars } from "./histogram";

const HEIGHT = 44;

interface Props {
  view: View;
  /** Leave out the empty time before the first span: nobody asked for this very range. */
  trim: boolean;
  from: number | null;
  to: number | null;
  /** Changes when figures are to be asked anew. */
  stamp: number;
  onRange: (range: string) => void;
}

/** With an open or trimmed range the strip begins at the earliest trace. */
async function begin(view: View, from: number | null, trim: boolean, signal: AbortSignal): Promise<number | null> {
  if (from !== null && !trim) return from;
  const first = await listTraces({ q: view.q, sort: "start_time", from: apiTime(from), limit: 1 }, signal);
  return first.items.length ? Date.parse(first.items[0].start_time) : from;
}

export function Histogram({ view, trim, from, to, stamp, onRange }: Props) {
  const [bars, setBars] = useState<Bars | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const [hover, setHover] = useState<number | null>(null);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (stamp === 0) return undefined;
    const abort = new AbortController();
    const load = async () => {
      const end = to ?? Date.now();
      const start = await begin(view, from, trim, abort.signal);
      if (start === null) return setBars(null);
      const interval = bucketSeconds(start, Math.max(end, start + 1000), 120);
      const query = { q: view.q, from: apiTime(start), to: apiTime(end), interval };
      const [spans, errors] = await Promise.all([
        getMetric({ metric: "spans", ...query }, abort.signal),
        getMetric({ metric: "errors", ...query }, abort.signal),
      ]);
      return setBars(prepareBars(spans, errors, start, end));
    };
    // The list reports errors of the filter; a strip that cannot be drawn just stays as it was.
    load().catch(() => undefined);
    return () => abort.abort();
  }, [view.q, trim, from, to, stamp]);

  const share = (event: PointerEvent) => {
    const { left, width } = box.current!.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - left) / width));
  };
  const finish = () => {
    if (drag && bars && Math.abs(drag[1] - drag[0]) > 0.005) {
      const at = (part: number) => Math.round(bars.from + part * (bars.to - bars.from));
      onRange(absolute(at(Math.min(...drag)), at(Math.max(...drag))));
    } else if (drag && bars) {
      const bar = bars.bars[Math.min(bars.bars.length - 1, Math.floor(drag[0] * bars.bars.length))];
      if (bar.total > 0) onRange(absolute(bar.start, bar.start + bars.step));
    }
    setDrag(null);
  };

  const hovered = bars && hover !== null ? bars.bars[Math.min(bars.bars.length - 1, Math.floor(hover * bars.bars.length))] : null;
  return (
    <div class="histogram">
      <div
        ref={box}
        class="histogram-box"
        role="img"
        aria-label={bars ? `${plural(bars.total, "span")} over time, ${plural(bars.errors, "error")}` : "Spans over time"}
        onPointerDown={(event) => {
          if (event.button !== 0 || !bars) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag([share(event), share(event)]);
        }}
        onPointerMove={(event) => {
          setHover(share(event));
          if (drag) setDrag([drag[0], share(event)]);
        }}
        onPointerUp={finish}
        onPointerLeave={() => setHover(null)}
        onPointerCancel={() => setDrag(null)}
      >
        {bars && (
          <svg class="histogram-bars" viewBox={`0 0 1000 ${HEIGHT}`} preserveAspectRatio="none" height={HEIGHT} aria-hidden="true">
            <path class="bar-total" d={barPath(bars, "total", 1000, HEIGHT)} />
            <path class="bar-errors" d={barPath(bars, "errors", 1000, HEIGHT)} />
          </svg>
        )}
        {drag && <span class="brush" style={{ left: `${Math.min(...drag) * 100}%`, width: `${Math.abs(drag[1] - drag[0]) * 100}%` }} />}
        {hovered && !drag && (
          <span class="histogram-tip num" style={hover! > 0.7 ? { right: `${(1 - hover!) * 100}%` } : { left: `${hover! * 100}%` }}>
            <b>{formatExact(hovered.total)}</b> spans
            {hovered.errors > 0 && <span class="error-text"> {plural(hovered.errors, "error")}</span>}
            <span class="muted"> {new Date(hovered.start).toLocaleString("en-US", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: bars!.step < 60_000 ? "2-digit" : undefined, hourCycle: "h23" })}</span>
          </span>
        )}
      </div>
      <div class="histogram-axis num" aria-hidden="true">
        {bars &&
          axisTicks(bars.from, bars.to, 9).map((tick) => (
            <span key={tick.at} style={{ left: `${((tick.at - bars.from) / (bars.to - bars.from)) * 100}%` }}>
              {tick.label}
            </span>
          ))}
      </div>
    </div>
  );
}
