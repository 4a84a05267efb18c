/** A chart's figures as a table: for screen readers, for copying, and for exact values. */
import { type ChartData, formatValue, type Line, moment } from "./prepare";

interface Props {
  data: ChartData;
  label: string;
  /** CSS pixels. */
  height: number;
  traces?: (from: number, to: number, line?: Line) => string;
}

export function Table({ data, label, height, traces }: Props) {
  return (
    <div class="chart-table" style={{ height: `${height}px` }} tabIndex={0} role="region" aria-label={`${label} as a table`}>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">From</th>
            {data.lines.map((line) => (
              <th key={line.key} scope="col" class="end">
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody class="num">
          {data.times.map((time, index) => (
            <tr key={time}>
              <th scope="row">
                {traces ? <a href={traces(time * 1000, (time + data.step) * 1000)}>{moment(time * 1000, data.step)}</a> : moment(time * 1000, data.step)}
                {index >= data.partialFrom && <span class="muted"> so far</span>}
              </th>
              {data.lines.map((line) => (
                <td key={line.key} class="end">
                  {formatValue(line.values[index], data.unit)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
