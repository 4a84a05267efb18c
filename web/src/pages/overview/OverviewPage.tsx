/** How things stand: volume, errors, latency, tokens and cost over time, and what moved most. */
import { useMemo } from "preact/hooks";
import { getMetric } from "../../api/calls";
import { navigate, place } from "../../router";
import { formatCount, formatDuration, formatShare, formatUsd } from "../../state/format";
import { add } from "../../state/query";
import { periodBefore, type Scope, useScope } from "../../state/scope";
import { absolute, apiTime } from "../../state/time";
import { Chart } from "../../ui/chart/Chart";
import type { Kind } from "../../ui/chart/draw";
import { Colours, type Figures, formatValue, prepareChart, type Source } from "../../ui/chart/prepare";
import { Await, Card, Change, Empty, Tile, Tiles } from "../../ui/figures";
import { FiguresPage, tracesBehind } from "../../ui/FiguresPage";
import { FigureTable, GroupHead } from "../../ui/FigureTable";
import { type Loaded, useLoad } from "../../ui/useLoad";
import { moversOf } from "./movers";

const USUAL_RANGE = "24h";
const GROUPS = [
  { by: "", name: "All" },
  { by: "model", name: "Model" },
  { by: "service", name: "Service" },
  { by: "user", name: "User" },
  { by: "name", name: "Name" },
] as const;

interface Wanted {
  title: string;
  kind: Kind;
  unit: "count" | "ms" | "USD" | "tokens";
  /** What is drawn without grouping: metric and name. */
  plain: [metric: string, name: string, colour?: Source["colour"]][];
  /** The metric that is drawn by group. */
  grouped: string;
  note: (totals: (number | null)[]) => string;
  /** Narrows the traces behind a point. */
  only?: string;
}

const CHARTS: Wanted[] = [
  { title: "Requests", kind: "bars", unit: "count", plain: [["requests", "Model calls", 0]], grouped: "requests", note: ([sum]) => formatCount(sum) },
  { title: "Errors", kind: "bars", unit: "count", plain: [["errors", "Failed spans", "error"]], grouped: "errors", note: ([sum]) => formatCount(sum), only: "status:error" },
  {
    title: "Duration of model calls",
    kind: "lines",
    unit: "ms",
    plain: [["request_duration_ms.p50", "p50", 3], ["request_duration_ms.p95", "p95", 0], ["request_duration_ms.p99", "p99", 2]],
    grouped: "request_duration_ms.p95",
    note: ([, p95]) => `p95 ${formatDuration(p95)}`,
  },
  {
    title: "Time to first token",
    kind: "lines",
    unit: "ms",
    plain: [["ttft_ms.p50", "p50", 3], ["ttft_ms.p95", "p95", 0]],
    grouped: "ttft_ms.p95",
    note: ([, p95]) => `p95 ${formatDuration(p95)}`,
  },
  {
    title: "Tokens",
    kind: "bars",
    unit: "tokens",
    plain: [["input_tokens", "Input", 6], ["output_tokens", "Output", 2]],
    grouped: "output_tokens",
    note: (sums) => formatCount(sums.reduce<number>((all, one) => all + (one ?? 0), 0)),
  },
  { title: "Cost", kind: "bars", unit: "USD", plain: [["cost_usd", "Cost", 3]], grouped: "cost_usd", note: ([sum]) => formatUsd(sum) },
];

export function OverviewPage() {
  const controls = useScope(USUAL_RANGE);
  const { scope, set } = controls;
  const asked = place.value.params.get("by") ?? "";
  const by = GROUPS.some((one) => one.by === asked) ? asked : "";
  const ask = useAsk(scope);
  const summary = useSummary(scope, ask);
  // A name keeps its colour in all charts of the page, also after the filter changed.
  const colours = useMemo(() => new Colours(), [by]);
  const grouping = (
    <div class="switch" role="group" aria-label="Grouped by">
      {GROUPS.map((one) => (
        <button key={one.by} type="button" aria-pressed={by === one.by} onClick={() => set({ by: one.by || undefined })}>
          {one.name}
        </button>
      ))}
    </div>
  );
  return (
    <FiguresPage title="Overview" controls={controls} of={summary} picker={grouping} sums={(data) => <Summary figures={data} />}>
      <div class="chart-grid">
        {CHARTS.map((wanted) => (
          <Figure key={wanted.title} wanted={wanted} by={by} scope={scope} ask={ask} colours={colours} onRange={(range) => set({ range })} onFilter={(field, value) => set({ q: add(scope.q, field, value), by: undefined })} />
        ))}
      </div>
      <Movers scope={scope} by={by || "model"} ready={summary.data !== null} />
    </FiguresPage>
  );
}

type Ask = (metric: string, by?: string) => ReturnType<typeof getMetric>;

/** Asks each question about the scope once, however many parts of the page want its answer. */
function useAsk(scope: Scope): Ask {
  return useMemo(() => {
    const asked = new Map<string, ReturnType<typeof getMetric>>();
    return (metric, by = "") => {
      const name = `${metric}|${by}`;
      const over = { q: scope.q, from: apiTime(scope.from), to: apiTime(scope.to), interval: scope.interval };
      const known = asked.get(name);
      if (known) return known;
      const reply = getMetric({ metric, group_by: by, limit: 8, ...over });
      asked.set(name, reply);
      // What got no answer is asked again by whoever tries again.
      reply.catch(() => asked.delete(name));
      return reply;
    };
  }, [scope.key]);
}

/** One bucket of at least this range: enough where only totals are wanted. */
function wide(from: number, to: number): number {
  return Math.min(366 * 86_400, Math.max(60, Math.ceil((to - from) / 60_000) * 60));
}

const TOTALS = ["requests", "request_errors", "request_duration_ms.p95", "ttft_ms.p95", "input_tokens", "output_tokens", "cost_usd", "traces"] as const;
type Totals = Record<(typeof TOTALS)[number], number | null>;

function useSummary(scope: Scope, ask: Ask): Loaded<{ now: Totals; before: Totals }> {
  return useLoad(scope.key, async (signal) => {
    const earlier = periodBefore(scope);
    const over = { q: scope.q, from: apiTime(earlier.from), to: apiTime(earlier.to), interval: wide(earlier.from, earlier.to) };
    const read = async (question: Ask) => {
      const replies = await Promise.all(TOTALS.map((metric) => question(metric)));
      return Object.fromEntries(TOTALS.map((metric, index) => [metric, replies[index].series[0]?.total ?? null])) as Totals;
    };
    const [now, before] = await Promise.all([read(ask), read((metric) => getMetric({ metric, ...over }, signal))]);
    return { now, before };
  });
}

function Summary({ figures: { now, before } }: { figures: { now: Totals; before: Totals } }) {
  const rate = (totals: Totals) => (totals.requests ? (totals.request_errors ?? 0) / totals.requests : null);
  const tokens = (totals: Totals) => (totals.input_tokens ?? 0) + (totals.output_tokens ?? 0);
  return (
    <Tiles label="In this range, against the same time before">
      <Tile name="Traces" value={formatCount(now.traces)}>
        <Change now={now.traces} before={before.traces} />
      </Tile>
      <Tile name="Model calls" value={formatCount(now.requests)}>
        <Change now={now.requests} before={before.requests} />
      </Tile>
      <Tile name="Error rate" value={formatShare(rate(now))} look={(rate(now) ?? 0) >= 0.05 ? "error" : undefined}>
        <Change now={rate(now)} before={rate(before)} bad="up" />
      </Tile>
      <Tile name="Duration, p95" value={formatDuration(now["request_duration_ms.p95"])}>
        <Change now={now["request_duration_ms.p95"]} before={before["request_duration_ms.p95"]} bad="up" />
      </Tile>
      <Tile name="First token, p95" value={formatDuration(now["ttft_ms.p95"])}>
        <Change now={now["ttft_ms.p95"]} before={before["ttft_ms.p95"]} bad="up" />
      </Tile>
      <Tile name="Tokens" value={formatCount(tokens(now))}>
        <Change now={tokens(now)} before={tokens(before)} />
      </Tile>
      <Tile name="Cost" value={formatUsd(now.cost_usd)}>
        <Change now={now.cost_usd} before={before.cost_usd} bad="up" />
      </Tile>
    </Tiles>
  );
}

interface FigureProps {
  wanted: Wanted;
  by: string;
  scope: Scope;
  ask: Ask;
  colours: Colours;
  onRange: (range: string) => void;
  onFilter: (field: string, value: string) => void;
}

function Figure({ wanted, by, scope, ask, colours, onRange, onFilter }: FigureProps) {
  const found = useLoad(scope.key && `${scope.key}|${by}`, async () => {
    const metrics: Wanted["plain"] = by ? [[wanted.grouped, wanted.title]] : wanted.plain;
    const replies = await Promise.all(metrics.map(([metric]) => ask(metric, by)));
    const sources = replies.map((reply, index) => ({ reply, name: metrics[index][1], colour: by ? undefined : metrics[index][2] }));
    return { data: prepareChart(sources, scope.from, scope.to, Date.now(), colours), totals: totals(replies) };
  });
  const shown = found.data;
  return (
    <Chart
      title={by && wanted.kind === "lines" ? `${wanted.title}, p95` : by && wanted.title === "Tokens" ? "Output tokens" : wanted.title}
      data={shown?.data ?? null}
      kind={wanted.kind}
      note={shown && (!by || wanted.kind === "bars") ? wanted.note(shown.totals) : undefined}
      error={found.error?.message}
      loading={found.loading}
      group="overview"
      onZoom={(from, to) => onRange(absolute(from, to))}
      traces={tracesBehind(scope.q, { only: wanted.only })}
      onOpen={navigate}
      onFilter={onFilter}
    />
  );
}

function totals(replies: Figures[]): (number | null)[] {
  if (replies.length === 1 && replies[0].series.length > 1) return [replies[0].series.reduce((sum, series) => sum + (series.total ?? 0), 0)];
  return replies.map((reply) => reply.series[0]?.total ?? null);
}

const MOVING = [
  { metric: "cost_usd", name: "Cost", unit: "USD", bad: "up" },
  { metric: "requests", name: "Requests", unit: "requests", bad: undefined },
  { metric: "request_errors", name: "Errors", unit: "requests", bad: "up" },
] as const;

/** Which models, services … moved most against the period before. */
function Movers({ scope, by, ready }: { scope: Scope; by: string; ready: boolean }) {
  // What stands on top of the page is asked for first: browsers ask only a few questions at a time.
  const found = useLoad(ready && scope.key ? `${scope.key}|${by}` : "", async (signal) => {
    const earlier = periodBefore(scope);
    const read = (metric: string, from: number, to: number) => getMetric({ metric, group_by: by, limit: 100, interval: wide(from, to), q: scope.q, from: apiTime(from), to: apiTime(to) }, signal);
    return Promise.all(
      MOVING.map(async ({ metric }) => {
        const [now, before] = await Promise.all([read(metric, scope.from, scope.to), read(metric, earlier.from, earlier.to)]);
        return moversOf(now, before);
      }),
    );
  });
  return (
    <Card title="Top movers" note={`by ${by}, against the same time before`}>
      <Await of={{ ...found, loading: found.loading || !ready }}>
        {(lists) =>
          lists.every((list) => list.length === 0) ? (
            <Empty>Nothing moved.</Empty>
          ) : (
            <div class="movers">
              {MOVING.map((moving, index) => (
                <FigureTable key={moving.metric} heads={[moving.name, { end: "Before" }, { end: "Now" }, { end: "Change" }]} label={moving.name}>
                  {lists[index].map((mover) => (
                    <tr key={mover.value}>
                      <GroupHead field={by} value={mover.value} scope={scope} />
                      <td class="end">{formatValue(mover.before, moving.unit)}</td>
                      <td class="end">{formatValue(mover.now, moving.unit)}</td>
                      <td class="end">
                        <Change now={mover.now} before={mover.before} bad={moving.bad} />
                      </td>
                    </tr>
                  ))}
                  {lists[index].length === 0 && (
                    <tr>
                      <td colSpan={4} class="muted">
                        nothing moved
                      </td>
                    </tr>
                  )}
                </FigureTable>
              ))}
            </div>
          )
        }
      </Await>
    </Card>
  );
}
