/** A chart in its card: title, legend, plot with a tip, and the same figures as a table. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Button, Notice } from "../kit";
import { drawChart, type Kind } from "./draw";
import { inkNear, token, useThemeKey } from "./palette";
import { type ChartData, describe, formatValue, type Line, moment } from "./prepare";
import { Table } from "./Table";
import "../../styles/chart.css";

interface Props {
  title: string;
  data: ChartData | null;
  kind: Kind;
  /** What stands beside the title, e.g. the sum. */
  note?: ComponentChildren;
  /** Shown instead of the plot. */
  error?: string;
  loading?: boolean;
  /** CSS pixels. */
  height?: number;
  /** Charts with the same group share their cursor. */
  group?: string;
  /** A stretch of time was chosen; milliseconds. */
  onZoom?: (from: number, to: number) => void;
  /** The address of the traces of a bucket (milliseconds), of one line or of all. */
  traces?: (from: number, to: number, line?: Line) => string;
  onFilter?: (field: string, value: string) => void;
  /** Goes to an address. */
  onOpen?: (href: string) => void;
}

export function Chart({ title, data, kind, note, error, loading = false, height = 168, group = "", onZoom, traces, onFilter, onOpen }: Props) {
  const [asTable, setAsTable] = useState(false);
  const id = useId();
  const empty = data !== null && data.lines.every((line) => line.values.every((value) => value === null || value === 0));
  return (
    <figure class={`chart${loading ? " chart-loading" : ""}`} aria-labelledby={id}>
      <div class="chart-head">
        <h2 id={id}>{title}</h2>
        {note && <span class="chart-note num">{note}</span>}
        <span class="grow" />
        {data && !error && (
          <Button icon={asTable ? "evaluator" : "columns"} label={asTable ? `${title} as a chart` : `${title} as a table`} aria-pressed={asTable} onClick={() => setAsTable(!asTable)} class="chart-turn" />
        )}
      </div>
      {error ? (
        <Notice kind="warn" title={error} />
      ) : asTable && data ? (
        <Table data={data} label={title} height={height} traces={traces} />
      ) : (
        <Plot key={kind} title={title} data={data} kind={kind} height={height} group={group} empty={empty} onZoom={onZoom} onPick={data && traces && onOpen ? (from, to) => onOpen(traces(from, to)) : undefined} />
      )}
      {data && data.lines.length > 1 && !error && <Legend data={data} onFilter={onFilter} />}
    </figure>
  );
}

interface PlotProps {
  title: string;
  data: ChartData | null;
  kind: Kind;
  height: number;
  group: string;
  empty: boolean;
  onZoom?: (from: number, to: number) => void;
  onPick?: (from: number, to: number) => void;
}

function Plot({ title, data, kind, height, group, empty, onZoom, onPick }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const [tip, setTip] = useState<{ index: number; left: number } | null>(null);
  const [inside, setInside] = useState(false);
  const theme = useThemeKey();
  const latest = useRef({ onZoom, onPick });
  latest.current = { onZoom, onPick };

  useEffect(() => {
    const place = box.current;
    if (!place || !data) return undefined;
    const at = (index: number) => [data.times[index] * 1000, (data.times[index] + data.step) * 1000] as const;
    const ink = inkNear(place);
    const plot = drawChart(place, data, kind, height, ink.of, group, {
      onCursor: (index, left) => setTip(index === null || left < 0 ? null : { index, left }),
      onZoom: latest.current.onZoom ? (from, to) => latest.current.onZoom?.(from, to) : undefined,
      onPick: (index) => latest.current.onPick?.(...at(index)),
    });
    let width = place.clientWidth;
    const observer = new ResizeObserver(() => {
      if (Math.abs(place.clientWidth - width) < 1 || place.clientWidth === 0) return;
      width = place.clientWidth;
      plot.setSize({ width, height });
    });
    observer.observe(place);
    return () => {
      observer.disconnect();
      plot.destroy();
      ink.end();
    };
  }, [data, kind, height, group, theme]);

  const shown = inside && tip && data && tip.index < data.times.length ? tip : null;
  return (
    <div class={`plot${onPick ? " plot-pick" : ""}`} style={{ height: `${height}px` }} onPointerEnter={() => setInside(true)} onPointerLeave={() => setInside(false)}>
      <div ref={box} class="plot-box" role="img" aria-label={data ? describe(data, title) : `${title}, loading`} />
      {empty && <p class="plot-empty muted">Nothing in this range</p>}
      {shown && data && <Tip data={data} kind={kind} index={shown.index} left={shown.left} />}
    </div>
  );
}

function Tip({ data, kind, index, left }: { data: ChartData; kind: Kind; index: number; left: number }) {
  const lines = data.lines.filter((line) => line.values[index] !== null && line.values[index] !== undefined);
  const sum = kind === "bars" && data.lines.length > 1 ? lines.reduce((total, line) => total + (line.values[index] ?? 0), 0) : null;
  const shown = kind === "bars" ? lines.filter((line) => line.values[index] !== 0).reverse() : lines;
  const toLeft = index > data.times.length / 2;
  // 56 px is the room of the axis to the left of the plot.
  const place = toLeft ? { right: `calc(100% - ${left + 56 - 12}px)` } : { left: `${left + 56 + 12}px` };
  return (
    <div class="chart-tip num" style={place}>
      <p class="chart-tip-when">
        {moment(data.times[index] * 1000, data.step)}
        {index >= data.partialFrom && <span class="muted"> so far</span>}
      </p>
      {sum !== null && (
        <p>
          <b>{formatValue(sum, data.unit)}</b> in all
        </p>
      )}
      {shown.slice(0, 8).map((line) => (
        <p key={line.key} class="chart-tip-line">
          <Swatch line={line} />
          <span class="ellipsis">{line.name}</span>
          <b>{formatValue(line.values[index], data.unit)}</b>
        </p>
      ))}
      {data.band && data.band.low[index] !== null && (
        <p class="muted">
          expected {formatValue(data.band.low[index], data.unit)} to {formatValue(data.band.high[index], data.unit)}
        </p>
      )}
      {lines.length === 0 && <p class="muted">nothing measured</p>}
    </div>
  );
}

function Legend({ data, onFilter }: { data: ChartData; onFilter?: (field: string, value: string) => void }) {
  return (
    <ul class="legend">
      {data.lines.map((line) => (
        <li key={line.key}>
          {line.filter && onFilter ? (
            <button type="button" class="legend-item" title={`Only ${line.filter.field} ${line.name}`} onClick={() => onFilter(line.filter!.field, line.filter!.value)}>
              <Swatch line={line} />
              <span class="ellipsis">{line.name}</span>
            </button>
          ) : (
            <span class="legend-item">
              <Swatch line={line} />
              <span class="ellipsis">{line.name}</span>
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

function Swatch({ line }: { line: Line }) {
  return <span class="swatch" style={{ background: `var(${token(line.colour)})` }} />;
}
