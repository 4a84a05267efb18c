/** How long calls take: percentiles by model, route and release, the slowest ones, the engine's part, service levels. */
import { useMemo } from "preact/hooks";
import { getLatency, getMetric } from "../../api/calls";
import type { LatencyReply, Percentiles } from "../../api/client";
import { href, navigate, place } from "../../router";
import { formatCount, formatDuration, formatShare, formatWhen } from "../../state/format";
import { add } from "../../state/query";
import { type Scope, useScope } from "../../state/scope";
import { absolute, apiTime } from "../../state/time";
import { Chart } from "../../ui/chart/Chart";
import { Colours, prepareChart } from "../../ui/chart/prepare";
import { Await, Card, Empty, Tile, Tiles } from "../../ui/figures";
import { FigureTable, GroupHead, Scroll } from "../../ui/FigureTable";
import { ByPicker, FiguresPage, tracesBehind } from "../../ui/FiguresPage";
import { useLoad } from "../../ui/useLoad";
import { Slos } from "./Slos";
import "../../styles/latency.css";

const USUAL_RANGE = "24h";
const SLOWEST = "-duration";
const GROUPS = ["model", "name", "service", "release", "operation", "environment"];
const KINDS = [
  { kind: "duration_ms", metric: "request_duration_ms", name: "Duration" },
  { kind: "ttft_ms", metric: "ttft_ms", name: "First token" },
  { kind: "tpot_ms", metric: "tpot_ms", name: "Per output token" },
] as const;

export function LatencyPage() {
  const controls = useScope(USUAL_RANGE);
  const { scope, set } = controls;
  const params = place.value.params;
  const by = params.get("by") ?? "model";
  const chosen = KINDS.find((one) => one.kind === params.get("of")) ?? KINDS[0];
  const over = { q: scope.q, from: apiTime(scope.from), to: apiTime(scope.to) };
  const found = useLoad(scope.key && `${scope.key}|${by}|${chosen.kind}`, (signal) => getLatency({ ...over, group_by: by, slowest: 10, slowest_by: chosen.kind }, signal));
  const colours = useMemo(() => new Colours(), [by]);
  const all = useLoad(scope.key && `${scope.key}|${chosen.kind}`, async (signal) => {
    const levels = ["p50", "p95", "p99"];
    const replies = await Promise.all(levels.map((level) => getMetric({ metric: `${chosen.metric}.${level}`, ...over, interval: scope.interval }, signal)));
    return prepareChart(replies.map((reply, index) => ({ reply, name: levels[index], colour: [3, 0, 2][index] })), scope.from, scope.to, Date.now(), colours);
  });
  const grouped = useLoad(scope.key && `${scope.key}|${by}|${chosen.kind}`, async (signal) => {
    const reply = await getMetric({ metric: `${chosen.metric}.p95`, ...over, group_by: by, limit: 8, interval: scope.interval }, signal);
    return prepareChart([{ reply }], scope.from, scope.to, Date.now(), colours);
  });
  const shared = { kind: "lines" as const, height: 200, group: "latency", onZoom: (from: number, to: number) => set({ range: absolute(from, to) }), traces: tracesBehind(scope.q, { sort: SLOWEST }), onOpen: navigate };
  return (
    <FiguresPage title="Latency" controls={controls} of={found} picker={<ByPicker by={by} options={GROUPS} onPick={(next) => set({ by: next })} />} sums={(data) => <Sums latency={data} />} foot={<Slos />}>
      <div class="switch latency-kinds" role="group" aria-label="What is measured">
        {KINDS.map((one) => (
          <button key={one.kind} type="button" aria-pressed={one === chosen} onClick={() => set({ of: one === KINDS[0] ? undefined : one.kind })}>
            {one.name}
          </button>
        ))}
      </div>
      <div class="chart-grid">
        <Chart {...shared} title={chosen.name} data={all.data} error={all.error?.message} loading={all.loading} />
        <Chart {...shared} title={`${chosen.name}, p95 by ${by}`} data={grouped.data} error={grouped.error?.message} loading={grouped.loading} onFilter={(field, value) => set({ q: add(scope.q, field, value) })} />
      </div>
      <Card title={`By ${by}`} note={found.data?.more ? "the busiest" : undefined}>
        <Await of={found} lines={4}>
          {(data) => <Groups latency={data} by={by} scope={scope} />}
        </Await>
      </Card>
      <Card title="Slowest calls" note={`by ${chosen.name.toLowerCase()}`}>
        <Await of={found} lines={4}>
          {(data) => <Slowest latency={data} />}
        </Await>
      </Card>
      {found.data?.engine && <Engine engine={found.data.engine} />}
    </FiguresPage>
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

function Groups({ latency, by, scope }: { latency: LatencyReply; by: string; scope: Scope }) {
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
                <GroupHead field={by} value={value} scope={scope} sort={SLOWEST} />
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
    <FigureTable heads={["Call", "Model", "Service", "When", { end: "Tokens" }, { end: "First token" }, { end: "Duration" }]}>
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
    </FigureTable>
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
      <FigureTable heads={["Time", ...HEADS.map((head) => ({ end: head }))]}>
        {rows
          .filter(([, percentiles]) => percentiles.count > 0)
          .map(([name, percentiles]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <Cells of={percentiles} />
            </tr>
          ))}
      </FigureTable>
    </Card>
  );
}
