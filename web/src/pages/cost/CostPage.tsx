/** Where the money goes: spend by anything, why it changed, what was wasted, what else it could cost, budgets. */
import { useMemo } from "preact/hooks";
import { getCost, type SpendReply } from "../../api/calls";
import { navigate, place } from "../../router";
import { formatCount, formatShare, formatUsd, plural } from "../../state/format";
import { add } from "../../state/query";
import { type Scope, useScope } from "../../state/scope";
import { absolute, apiTime } from "../../state/time";
import { Chart } from "../../ui/chart/Chart";
import { Colours, type Figures, PALETTE, prepareChart } from "../../ui/chart/prepare";
import { Await, Card, Empty, ShareBar, Tile, Tiles } from "../../ui/figures";
import { ByPicker, FiguresPage, tracesBehind } from "../../ui/FiguresPage";
import { FigureTable, GroupHead } from "../../ui/FigureTable";
import { Notice } from "../../ui/kit";
import { useLoad } from "../../ui/useLoad";
import { Budgets } from "./Budgets";
import { Changes } from "./Changes";
import { OwnGpus } from "./OwnGpus";
import { Prices } from "./Prices";
import { WhatIf } from "./WhatIf";
import { Waste } from "./Waste";
import "../../styles/cost.css";

const USUAL_RANGE = "7d";
const DEAREST = "-cost";
const DIMENSIONS = ["model", "service", "user", "session", "name", "tag", "environment", "release", "provider", "prompt"];

export function CostPage() {
  const controls = useScope(USUAL_RANGE);
  const { scope, set, reload } = controls;
  const by = place.value.params.get("by") ?? "model";
  const over = { q: scope.q, from: apiTime(scope.from), to: apiTime(scope.to) };
  const spend = useLoad(scope.key && `${scope.key}|${by}`, (signal) => getCost({ ...over, group_by: by, interval: scope.interval, limit: 50 }, signal));
  const colours = useMemo(() => new Colours(), [by]);
  const chart = useMemo(() => spend.data && prepareChart([{ reply: figuresOf(spend.data) }], scope.from, scope.to, Date.now(), colours), [spend.data]);
  const foot = (
    <>
      <Budgets />
      <div id="own-prices">
        <Prices onPriced={reload} />
      </div>
    </>
  );
  return (
    <FiguresPage title="Cost" controls={controls} of={spend} picker={<ByPicker by={by} options={DIMENSIONS} onPick={(next) => set({ by: next })} />} sums={(data) => <Sums spend={data} />} foot={foot}>
      <Chart
        title={`Spend by ${by}`}
        note={spend.data ? formatUsd(spend.data.total.cost_usd) : undefined}
        data={chart}
        kind="bars"
        height={210}
        loading={spend.loading}
        group="cost"
        onZoom={(from, to) => set({ range: absolute(from, to) })}
        traces={tracesBehind(scope.q, { sort: DEAREST })}
        onOpen={navigate}
        onFilter={(field, value) => set({ q: add(scope.q, field, value) })}
      />
      <div class="two-columns">
        <Card title="Who spends it" note={spend.data ? plural(spend.data.groups.length, by) + (spend.data.next_cursor ? ", the dearest" : "") : undefined}>
          <Await of={spend} lines={5}>
            {(data) => <Groups spend={data} by={by} scope={scope} />}
          </Await>
        </Card>
        <Changes scope={scope} />
        <Waste scope={scope} />
        <WhatIf scope={scope} />
      </div>
      <OwnGpus scope={scope} />
    </FiguresPage>
  );
}

/** Spend as a metric, so that it is drawn like all others. Groups beyond the palette are drawn as one. */
export function figuresOf(reply: SpendReply): Figures {
  const shown = reply.groups.slice(0, PALETTE);
  const rest = new Map<number, number>();
  for (const [at, usd] of reply.total.points) rest.set(Number(at), Number(usd));
  for (const group of shown) for (const [at, usd] of group.points) rest.set(Number(at), (rest.get(Number(at)) ?? 0) - Number(usd));
  const series = shown.map((group) => ({ group: group.group, total: Number(group.cost_usd), points: group.points.map(([at, usd]) => [Number(at), Number(usd)]) }));
  const others = [...rest].map(([at, usd]) => [at, usd > 1e-9 ? usd : 0]);
  const total = others.reduce((sum, [, usd]) => sum + usd, 0);
  return { metric: "cost_usd", unit: "USD", interval_s: reply.interval_s, series: total > 0 ? [...series, { group: { other: "true" }, total, points: others }] : series };
}

function Sums({ spend: { total, groups } }: { spend: SpendReply }) {
  const { unpriced } = total;
  const missing = groups.filter((group) => group.unpriced.requests > 0).map((group) => `${Object.values(group.group)[0] || "(none)"} (${formatCount(group.unpriced.requests)})`);
  return (
    <>
      <Tiles label="In this range">
        <Tile name="Spend" value={formatUsd(total.cost_usd)} />
        <Tile name="Model calls" value={formatCount(total.requests)} />
        <Tile name="Per call" value={total.requests ? formatUsd(Number(total.cost_usd) / total.requests) : "–"} />
        <Tile name="Input" value={formatUsd(total.input_usd)}>
          {formatCount(total.input_tokens)} tok
        </Tile>
        <Tile name="Output" value={formatUsd(total.output_usd)}>
          {formatCount(total.output_tokens)} tok
        </Tile>
        <Tile name="Read from cache" value={total.input_tokens ? formatShare(total.cache_read_tokens / total.input_tokens) : "–"}>
          of input tokens
        </Tile>
        <Tile name="Without a price" value={formatShare(unpriced.share_of_tokens)} look={unpriced.requests ? "warn" : undefined}>
          of tokens
        </Tile>
      </Tiles>
      {unpriced.requests > 0 && (
        <Notice kind="warn" title={`${plural(unpriced.requests, "call")} with ${formatCount(unpriced.tokens)} tokens have no price and are in no sum`}>
          <p class="wrap-any">
            {missing.slice(0, 8).join(", ")}
            {missing.length > 8 ? ` and ${missing.length - 8} more` : ""}. Give them a price under <a href="#own-prices">own prices</a> below, and price what is stored anew.
          </p>
        </Notice>
      )}
    </>
  );
}

function Groups({ spend, by, scope }: { spend: SpendReply; by: string; scope: Scope }) {
  if (spend.groups.length === 0) return <Empty>Nothing was spent in this range.</Empty>;
  return (
    <FigureTable heads={[by, { end: "Spend" }, "Share", { end: "Calls" }, { end: "Per call" }]} label={`Spend by ${by}`} class="groups-scroll">
      {spend.groups.map((group) => {
        const value = Object.values(group.group)[0] ?? "";
        return (
          <tr key={value}>
            <GroupHead field={by} value={value} scope={scope} sort={DEAREST} />
            <td class="end">{group.unpriced.requests && Number(group.cost_usd) === 0 ? <span class="unpriced">unpriced</span> : formatUsd(group.cost_usd)}</td>
            <td>
              <span class="share-cell">
                <ShareBar share={group.share} />
                {formatShare(group.share)}
              </span>
            </td>
            <td class="end">{formatCount(group.requests)}</td>
            <td class="end">{group.requests && Number(group.cost_usd) ? formatUsd(Number(group.cost_usd) / group.requests) : "–"}</td>
          </tr>
        );
      })}
    </FigureTable>
  );
}
