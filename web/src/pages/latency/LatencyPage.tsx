/** How long calls take: percentiles by model, route and release, the slowest ones, the engine's part, service levels. */
import { useMemo } from "preact/hooks";
import { getLatency, getMetric } from "../../api/calls";
import type { LatencyReply, Percentiles } from "../../api/client";
import { href, navigate, place } from "../../router";
import { formatCount, formatDuration, formatShare, formatWhen } from "../../state/format";
import { add, condition } from "../../state/query";
import { useScope } from "../../state/scope";
import { absolute, apiTime } from "../../state/time";
import { viewHref } from "../../state/view";
import { Chart } from "../../ui/chart/Chart";
import { Colours, type Line, prepareChart } from "../../ui/chart/prepare";
import { Await, Card, Empty, Scroll, Tile, Tiles } from "../../ui/figures";
import { FilterBar } from "../../ui/FilterBar";
import { useTitle } from "../../ui/hooks";
import { useLoad } from "../../ui/useLoad";
import { Slos } from "./Slos";
import "../../styles/latency.css";

const USUAL_RANGE = "24h";
const GROUPS = ["model", "name", "service", "release", "operation", "environment"];
const KINDS = [
  { kind: "duration_ms", metric: "request_duration_ms", name: "Duration" },
  { kind: "ttft_ms", metric: "ttft_ms", name: "First token" },
  { kind: "tpot_ms", metric: "tpot_ms", name: "Per output token" },
] as const;

export function LatencyPage() {
  useTitle("Latency");
  const controls = useScope(USUAL_RANGE);
  const { scope, set, reload } = controls;
  const params = place.value.params;
  const by = params.get("by") ?? "model";
  const chosen = KINDS.find((one) => one.kind === params.get("of")) ?? KINDS[0];
  const over = { q: scope.q, from: apiTime(scope.from), to: apiTime(scope.to) };
  const found = useLoad(scope.key && `${scope.key}|${by}|${chosen.kind}`, (signal) => getLatency({ ...over, group_by: by, slowest: 10, slowest_by: chosen.kind }, signal));
  const colours = useMemo(() => new Colours(), [by]);
  const onZoom = (from: number, to: number) => set({ range: absolute(from, to) });
  const traces = (from: number, to: number, line?: Line) => viewHref({ q: [scope.q, line?.filter && condition(line.filter.field, line.filter.value)].filter(Boolean).join(" "), range: absolute(from, to), sort: "-duration" });
  const all = useLoad(scope.key && `${scope.key}|${chosen.kind}`, async (signal) => {
    const levels = ["p50", "p95", "p99"];
    const replies = await Promise.all(levels.map((level) => getMetric({ metric: `${chosen.metric}.${level}`, ...over, interval: scope.interval }, signal)));
    return prepareChart(replies.map((reply, index) => ({ reply, name: levels[index], colour: [3, 0, 2][index] })), scope.from, scope.to, Date.now(), colours);
  });
  const grouped = useLoad(scope.key && `${scope.key}|${by}|${chosen.kind}`, async (signal) => {
    const reply = await getMetric({ metric: `${chosen.metric}.p95`, ...over, group_by: by, limit: 8, interval: scope.interval }, signal);
    return prepareChart([{ reply }], scope.from, scope.to, Date.now(), colours);
  });
  return (
    <div class="figures-page">
      <h1 class="visually-hidden">Latency</h1>
      <FilterBar controls={controls} error={found.error}>
        <label class="by">
          <span>By</span>
          <select class="select" value={by} onChange={(event) => set({ by: event.currentTarget.value === "model" ? undefined : event.currentTarget.value })}>
            {(GROUPS.includes(by) ? GROUPS : [by, ...GROUPS]).map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </FilterBar>
      <div class="figures-body">
        <Await of={found} onRetry={reload} lines={2}>
          {(data) => <Sums latency={data} />}
        </Await>
        {!found.error && (
          <>
            <div class="switch latency-kinds" role="group" aria-label="What is measured">
              {KINDS.map((one) => (
                <button key={one.kind} type="button" aria-pressed={one === chosen} onClick={() => set({ of: one === KINDS[0] ? undefined : one.kind })}>
                  {one.name}
                </button>
              ))}
            </div>
            <div class="chart-grid">
              <Chart title={chosen.name} data={all.data} kind="lines" height={200} error={all.error?.message} loading={all.loading} group="latency" onZoom={onZoom} traces={traces} onOpen={navigate} />
              <Chart title={`${chosen.name}, p95 by ${by}`} data={grouped.data} kind="lines" height={200} error={grouped.error?.message} loading={grouped.loading} group="latency" onZoom={onZoom} traces={traces} onOpen={navigate} onFilter={(field, value) => set({ q: add(scope.q, field, value) })} />
            </div>
            <Card title={`By ${by}`} note={found.data?.more ? "the busiest" : undefined}>
              <Await of={found} lines={4}>
                {(data) => <Groups latency={data} by={by} q={scope.q} range={scope.range} />}
              </Await>
            </Card>
            <Card title="Slowest calls" note={`by ${chosen.name.toLowerCase()}`}>
              <Await of={found} lines={4}>
                {(data) => <Slowest latency={data} />}
              </Await>
            </Card>
            {found.data?.engine && <Engine engine={found.data.engine} />}
          </>
        )}
        <Slos />
      </div>
    </div>
  );
}

function Sums({ latency: { total } }: { latency: LatencyReply }) {
  return (
    <Tiles label="In this range">
      <Tile name="Model calls" value={formatCount(total.requests)}>
        {total.errors > 0 && `${formatCount(total.errors)} failed`}
      </Tile>
      <Tile name="Duration, p50" value={formatDuration(total.duration_ms.p50)} />
      <Tile name="p95" value={formatDuration(total.duration_ms.p95)} />
      <Tile name="p99" value={formatDuration(total.duration_ms.p99)}>
        max {formatDuration(total.duration_ms.max)}
      </Tile>
      <Tile name="First token, p95" value={formatDuration(total.ttft_ms.p95)}>
        of {formatCount(total.ttft_ms.count)} streams
      </Tile>
      <Tile name="Per output token, p95" value={formatDuration(total.tpot_ms.p95)} />
      <Tile name="Speed" value={total.output_tokens_per_s === null ? "–" : `${formatCount(Math.round(total.output_tokens_per_s))} tok/s`}>
        median
      </Tile>
    </Tiles>
  );
}

const HEADS = ["p50", "p95", "p99"] as const;

function Cells({ of }: { of: Percentiles }) {
  return (
    <>
      {HEADS.map((head) => (
        <td key={head} class="end">
          {formatDuration(of[head])}
        </td>
      ))}
    </>
  );
}

function Groups({ latency, by, q, range }: { latency: LatencyReply; by: string; q: string; range: string }) {
  if (latency.groups.length === 0) return <Empty>No call in this range.</Empty>;
  return (
    <Scroll>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col" rowSpan={2}>
              {by}
            </th>
            <th scope="col" rowSpan={2} class="end">
              Calls
            </th>
            <th scope="col" rowSpan={2} class="end">
              Failed
            </th>
            {["Duration", "First token", "Per output token"].map((name) => (
              <th key={name} scope="colgroup" colSpan={3} class="latency-head">
                {name}
              </th>
            ))}
          </tr>
          <tr>
            {[0, 1, 2].map((block) =>
              HEADS.map((head) => (
                <th key={`${block}${head}`} scope="col" class="end">
                  {head}
                </th>
              )),
            )}
          </tr>
        </thead>
        <tbody class="num">
          {latency.groups.map((group) => {
            const value = Object.values(group.group)[0] ?? "";
            return (
              <tr key={value}>
                <th scope="row" class="clip">
                  {value ? <a href={viewHref({ q: add(q, by, value), range, sort: "-duration" })}>{value}</a> : <span class="muted">(none)</span>}
                </th>
                <td class="end">{formatCount(group.requests)}</td>
                <td class={group.errors ? "end error-text" : "end"}>{group.requests ? formatShare(group.errors / group.requests) : "–"}</td>
                <Cells of={group.duration_ms} />
                <Cells of={group.ttft_ms} />
                <Cells of={group.tpot_ms} />
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scroll>
  );
}

function Slowest({ latency }: { latency: LatencyReply }) {
  if (latency.slowest.length === 0) return <Empty>No call in this range.</Empty>;
  return (
    <Scroll>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">Call</th>
            <th scope="col">Model</th>
            <th scope="col">Service</th>
            <th scope="col">When</th>
            <th scope="col" class="end">
              Tokens
            </th>
            <th scope="col" class="end">
              First token
            </th>
            <th scope="col" class="end">
              Duration
            </th>
          </tr>
        </thead>
        <tbody class="num">
          {latency.slowest.map((call) => (
            <tr key={call.span_id}>
              <th scope="row" class="clip">
                <a href={href("trace", { id: call.trace_id, span: call.span_id })}>{call.name || call.span_id}</a>
                {call.status_code === "error" && <span class="error-text"> failed</span>}
              </th>
              <td class="clip">{call.model || "–"}</td>
              <td class="clip">{call.service_name || "–"}</td>
              <td>{formatWhen(call.start_time)}</td>
              <td class="end">
                {formatCount(call.input_tokens)} → {formatCount(call.output_tokens)}
              </td>
              <td class="end">{formatDuration(call.ttft_ms)}</td>
              <td class="end">{formatDuration(call.duration_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** How clients' time divides where the serving engine sent spans too. */
function Engine({ engine }: { engine: NonNullable<LatencyReply["engine"]> }) {
  const rows: [string, Percentiles][] = [
    ["As the client saw it", engine.client_ms],
    ["In the engine", engine.engine_ms],
    ["Outside of it", engine.outside_engine_ms],
    ["First token, client", engine.client_ttft_ms],
    ["First token, engine", engine.engine_ttft_ms],
    ["Queue", engine.queue_ms],
    ["Prefill", engine.prefill_ms],
    ["Decode", engine.decode_ms],
  ];
  return (
    <Card title="Client and engine" note={`${formatCount(engine.requests)} calls whose engine sent spans; ${formatShare(engine.outside_share)} of their time was outside of it`}>
      <Scroll>
        <table class="figures">
          <thead>
            <tr>
              <th scope="col">Time</th>
              {HEADS.map((head) => (
                <th key={head} scope="col" class="end">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody class="num">
            {rows
              .filter(([, percentiles]) => percentiles.count > 0)
              .map(([name, percentiles]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <Cells of={percentiles} />
                </tr>
              ))}
          </tbody>
        </table>
      </Scroll>
    </Card>
  );
}
