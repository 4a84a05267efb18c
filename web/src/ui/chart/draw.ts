/** Drawing a prepared chart with uPlot: lines or stacked bars, gaps, the partial end, levels, band and marks. */
import uPlot from "uplot";
import { token } from "./palette";
import { type ChartData, ceilingOf, type Colour, formatTick, gapsOf, lonely, splitPartial, stack } from "./prepare";
import { axisTicks } from "./ticks";

export type Kind = "lines" | "bars";

export interface Reactions {
  /** The bucket under the pointer; null when it left. `left` is in CSS pixels within the plot. */
  onCursor: (index: number | null, left: number) => void;
  /** A stretch was chosen; milliseconds. */
  onZoom?: (from: number, to: number) => void;
  onPick?: (index: number) => void;
}

/** Gives the colour of a token. */
type Ink = (name: string) => string;

const FEW_MARKS = 12;
const FONT = '11px "Inter", system-ui, sans-serif';

/** Makes the plot. Charts with the same `group` share their cursor. */
export function drawChart(box: HTMLElement, data: ChartData, kind: Kind, height: number, ink: Ink, group: string, react: Reactions): uPlot {
  const ceiling = ceilingOf(data, kind === "bars");
  const half = data.step / 2;
  const first = data.times[0];
  const end = (data.times.at(-1) ?? first) + data.step;
  const colour = (one: Colour) => ink(token(one));
  const drawn = kind === "lines" ? lineSeries(data, colour) : { values: stack(data.lines), series: data.lines.map((): uPlot.Series => ({ paths: () => null, points: { show: false } })) };
  let downAt = -1;
  const options: uPlot.Options = {
    width: Math.max(80, box.clientWidth),
    height,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    scales: { x: { time: false, range: () => [first, end] }, y: { range: () => [0, ceiling] } },
    series: [{}, ...drawn.series],
    axes: [
      {
        stroke: ink("--text-3"),
        font: FONT,
        size: 24,
        gap: 3,
        grid: { show: false },
        ticks: { stroke: ink("--line-strong"), width: 1, size: 4 },
        splits: (plot) => axisTicks(first * 1000, end * 1000, Math.max(2, Math.floor(plot.bbox.width / uPlot.pxRatio / 72))).map((tick) => tick.at / 1000),
        values: (plot, splits) => {
          const labels = new Map(axisTicks(first * 1000, end * 1000, Math.max(2, Math.floor(plot.bbox.width / uPlot.pxRatio / 72))).map((tick) => [tick.at / 1000, tick.label]));
          return splits.map((split) => labels.get(split) ?? "");
        },
      },
      {
        stroke: ink("--text-3"),
        font: FONT,
        size: 56,
        gap: 4,
        space: 34,
        grid: { stroke: ink("--line"), width: 1 },
        ticks: { show: false },
        values: (_, splits) => splits.map((split) => formatTick(split, data.unit)),
      },
    ],
    cursor: {
      y: false,
      points: { show: kind === "lines", size: 7 },
      sync: { key: group, scales: ["x", null] },
      drag: { x: Boolean(react.onZoom), y: false, setScale: false, dist: 6 },
    },
    hooks: {
      drawClear: [(plot) => drawBehind(plot, data, ink)],
      draw: [
        (plot) => {
          if (kind === "bars") drawBars(plot, data, colour);
          drawLevels(plot, data, colour, ink);
        },
      ],
      setCursor: [(plot) => react.onCursor(plot.cursor.idx ?? null, plot.cursor.left ?? -1)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 6 || !react.onZoom) return;
          const from = Math.round(plot.posToVal(left, "x") * 1000);
          const to = Math.round(plot.posToVal(left + width, "x") * 1000);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          react.onZoom(from, to);
        },
      ],
      ready: [
        (plot) => {
          plot.over.addEventListener("mousedown", (event) => (downAt = event.clientX));
          plot.over.addEventListener("click", (event) => {
            if (Math.abs(event.clientX - downAt) < 6 && plot.cursor.idx !== null && plot.cursor.idx !== undefined) react.onPick?.(plot.cursor.idx);
          });
        },
      ],
    },
  };
  return new uPlot(options, [data.times.map((time) => time + half), ...drawn.values] as uPlot.AlignedData, box);
}

/** Two series for each line: what is over, and dashed what is not. */
function lineSeries(data: ChartData, colour: (one: Colour) => string): { series: uPlot.Series[]; values: (number | null)[][] } {
  const series: uPlot.Series[] = [];
  const values: (number | null)[][] = [];
  for (const line of data.lines) {
    const { whole, partial } = splitPartial(line.values, data.partialFrom);
    const alone = lonely(line.values);
    const look = { stroke: colour(line.colour), width: 1.75, spanGaps: false };
    const dots = (indexes: number[]): uPlot.Series.Points => ({ show: false, size: 5, fill: look.stroke, filter: () => indexes });
    series.push(
      { ...look, points: dots(alone.filter((index) => index < data.partialFrom)) },
      { ...look, dash: [3, 3], points: dots(alone.filter((index) => index >= data.partialFrom)) },
    );
    values.push(whole, partial);
  }
  return { series, values };
}

/** Where nothing was measured is hatched; the band of what was expected lies below the lines. */
function drawBehind(plot: uPlot, data: ChartData, ink: Ink): void {
  const { ctx } = plot;
  const { top, height } = plot.bbox;
  const x = (index: number) => plot.valToPos(data.times[0] + index * data.step, "x", true);
  ctx.save();
  if (data.lines.length) {
    const hatch = hatching(ctx, ink("--line"));
    for (const [from, to] of gapsOf(data.lines, data.times.length)) {
      ctx.fillStyle = hatch;
      ctx.fillRect(x(from), top, x(to) - x(from), height);
    }
  }
  for (const mark of data.marks ?? []) {
    if (mark.end === undefined) continue;
    ctx.globalAlpha = 0.12;
    ctx.fillStyle = ink(token(mark.colour));
    const from = plot.valToPos(mark.at, "x", true);
    ctx.fillRect(from, top, Math.max(2, plot.valToPos(mark.end, "x", true) - from), height);
    ctx.globalAlpha = 1;
  }
  if (data.band) {
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = ink("--accent");
    for (const [from, to] of stretches(data.band.low, data.band.high)) {
      ctx.beginPath();
      for (let index = from; index < to; index++) ctx.lineTo(x(index + 0.5), plot.valToPos(data.band.high[index]!, "y", true));
      for (let index = to - 1; index >= from; index--) ctx.lineTo(x(index + 0.5), plot.valToPos(data.band.low[index]!, "y", true));
      ctx.fill();
    }
  }
  ctx.restore();
}

/** Stretches, [first, beyond last), in which both ends of the band are known. */
function stretches(low: (number | null)[], high: (number | null)[]): [number, number][] {
  const found: [number, number][] = [];
  low.forEach((value, index) => {
    if (value === null || high[index] === null) return;
    const last = found.at(-1);
    if (last && last[1] === index) last[1] = index + 1;
    else found.push([index, index + 1]);
  });
  return found;
}

/** Bars upon bars; those that are not over are hatched. A bucket with a measured 0 has a hair on the axis. */
function drawBars(plot: uPlot, data: ChartData, colour: (one: Colour) => string): void {
  const { ctx } = plot;
  const ratio = uPlot.pxRatio;
  const x = (index: number) => plot.valToPos(data.times[0] + index * data.step, "x", true);
  const zero = plot.valToPos(0, "y", true);
  const each = x(1) - x(0);
  const gap = each > 5 * ratio ? Math.min(3 * ratio, each * 0.2) : each > 2.5 * ratio ? 0.5 * ratio : 0;
  const floors = data.times.map(() => zero);
  ctx.save();
  const tops = stack(data.lines);
  data.lines.forEach((line, row) => {
    const solid = colour(line.colour);
    const hatch = hatching(ctx, solid);
    line.values.forEach((value, index) => {
      if (!value || value < 0) return;
      const ceiling = plot.valToPos(tops[row][index], "y", true);
      const height = Math.max(row === 0 ? ratio : 0, floors[index] - ceiling);
      const partial = index >= data.partialFrom;
      ctx.globalAlpha = partial ? 0.3 : 1;
      ctx.fillStyle = solid;
      ctx.fillRect(x(index) + gap / 2, floors[index] - height, each - gap, height);
      if (partial) {
        ctx.globalAlpha = 0.9;
        ctx.fillStyle = hatch;
        ctx.fillRect(x(index) + gap / 2, floors[index] - height, each - gap, height);
      }
      floors[index] -= height;
    });
  });
  ctx.restore();
}

/** Horizontal lines with their names, and upright ones at moments. */
function drawLevels(plot: uPlot, data: ChartData, colour: (one: Colour) => string, ink: Ink): void {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.lineWidth = 1.25 * ratio;
  ctx.font = `${11 * ratio}px "Inter", system-ui, sans-serif`;
  // Names stand at both ends by turns, so that levels close together stay readable.
  (data.levels ?? []).forEach((level, index) => {
    const y = plot.valToPos(level.value, "y", true);
    ctx.strokeStyle = colour(level.colour);
    ctx.setLineDash([5 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    const tall = 14 * ratio;
    const label = `${level.name} ${formatTick(level.value, data.unit)}`;
    const wide = ctx.measureText(label).width + 8 * ratio;
    const x = index % 2 === 0 ? left + width - wide : left;
    const from = y - tall - 2 * ratio < top ? y + 2 * ratio : y - tall - 2 * ratio;
    ctx.globalAlpha = 0.75;
    ctx.fillStyle = ink("--raised");
    ctx.fillRect(x, from, wide, tall);
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour(level.colour);
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.fillText(label, x + 4 * ratio, from + tall / 2);
  });
  for (const mark of data.marks ?? []) {
    const x = plot.valToPos(mark.at, "x", true);
    if (x < left || x > left + width) continue;
    ctx.strokeStyle = colour(mark.colour);
    ctx.fillStyle = colour(mark.colour);
    // Many marks must not hide the line they are about.
    ctx.globalAlpha = (data.marks?.length ?? 0) > FEW_MARKS ? 0.22 : 0.9;
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.beginPath();
    ctx.moveTo(x - 4 * ratio, top);
    ctx.lineTo(x + 4 * ratio, top);
    ctx.lineTo(x, top + 6 * ratio);
    ctx.fill();
  }
  ctx.restore();
}

function hatching(ctx: CanvasRenderingContext2D, colour: string): CanvasPattern | string {
  const size = Math.round(6 * uPlot.pxRatio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  if (!pen) return "transparent";
  pen.strokeStyle = colour;
  pen.lineWidth = uPlot.pxRatio;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return ctx.createPattern(tile, "repeat") ?? "transparent";
}
