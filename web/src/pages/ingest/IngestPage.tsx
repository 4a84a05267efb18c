/** How receiving, storing and deriving go: what came, what was refused and why, and what lags behind. */
import { useEffect, useState } from "preact/hooks";
import { getIngest, getMetric } from "../../api/calls";
import type { IngestReply } from "../../api/client";
import { href } from "../../router";
import { formatAgo, formatBytes, formatCount, formatDuration, formatExact, formatFull, formatShare, plural } from "../../state/format";
import { apiTime } from "../../state/time";
import { Chart } from "../../ui/chart/Chart";
import { Colours, prepareChart } from "../../ui/chart/prepare";
import { Await, Card, Empty, ShareBar, State, Tile, Tiles } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { useTitle } from "../../ui/hooks";
import { steady, useBeat, useLoad } from "../../ui/useLoad";
import { rejectionHint } from "../setup/snippets";
import { health, rateOf, type Sample } from "./health";

const POLL_MS = 5000;
const HOUR_MS = 3_600_000;
const colours = new Colours();

export function IngestPage() {
  useTitle("Ingest");
  const beat = useBeat(POLL_MS);
  // A key that does not open the counters will not do so in five seconds either.
  const [shut, setShut] = useState(false);
  const ingest = useLoad(shut ? "shut" : `${beat}`, getIngest);
  const forbidden = ingest.error?.status === 403;
  useEffect(() => {
    if (forbidden) setShut(true);
  }, [forbidden]);
  const [samples, setSamples] = useState<Sample[]>([]);
  useEffect(() => {
    if (!ingest.data) return;
    const received = ingest.data.received_spans;
    setSamples((old) => [...old, { at: Date.now(), received }].slice(-13));
  }, [ingest.data]);
  return (
    <div class="figures-page">
      <div class="figures-body">
        <div class="page-title">
          <h1>Ingest</h1>
          {ingest.data && !ingest.error && <Verdict ingest={ingest.data} />}
        </div>
        {forbidden ? (
          <Empty>These counters are the whole server's: they open with the admin key. What your project stored stands in the list of traces.</Empty>
        ) : (
          // The page asks anew by itself: what was there stays readable in between.
          <Await of={steady(ingest)} lines={6}>
            {(data) => <Figures ingest={data} rate={rateOf(samples)} beat={beat} />}
          </Await>
        )}
      </div>
    </div>
  );
}

function Verdict({ ingest }: { ingest: IngestReply }) {
  const found = health(ingest);
  return <State look={found.look}>{found.words}</State>;
}

function Figures({ ingest, rate, beat }: { ingest: IngestReply; rate: number | null; beat: number }) {
  const rejected = Object.values(ingest.rejected).reduce((sum, count) => sum + count, 0);
  return (
    <div class="figures-body figures-inner">
      <Tiles label="Since the store began">
        <Tile name="Spans accepted" value={formatCount(ingest.received_spans)}>
          {rate === null ? null : `${formatCount(Math.round(rate * 10) / 10)}/s now`}
        </Tile>
        <Tile name="Stored" value={formatCount(ingest.stored_spans)}>
          {ingest.duplicate_spans > 0 && `${formatCount(ingest.duplicate_spans)} sent again`}
        </Tile>
        <Tile name="Rejected" value={formatCount(rejected)} look={rejected ? "warn" : undefined} />
        <Tile name="Waiting in the spool" value={formatCount(ingest.spool.requests)}>
          {formatBytes(ingest.spool.bytes)}
        </Tile>
        <Tile name="Lag" value={formatDuration(ingest.lag_s * 1000)} look={ingest.lag_s > 60 ? "error" : ingest.lag_s > 10 ? "warn" : undefined}>
          oldest not yet shown
        </Tile>
        <Tile name="Set aside" value={formatCount(ingest.spool.set_aside)} look={ingest.spool.set_aside ? "warn" : undefined}>
          {ingest.spool.set_aside > 0 ? "see spanhouse replay" : null}
        </Tile>
        <Tile name="Log records" value={formatCount(ingest.received_logs)} />
        <Tile name="Metric points" value={formatCount(ingest.received_metric_points)} />
      </Tiles>
      <Arrivals beat={beat} />
      <Card title="Rejected, by reason">
        {rejected === 0 ? <Empty>Nothing was rejected.</Empty> : <Rejected rejected={ingest.rejected} total={rejected} received={ingest.received_spans} />}
      </Card>
      <Card title="Background work" note="What is derived from stored spans, and when it last ran">
        {ingest.workers.length === 0 ? <Empty>No worker runs in this server.</Empty> : <Workers workers={ingest.workers} />}
      </Card>
    </div>
  );
}

/** Spans of the last hour by when they started; asked less often than the counters. */
function Arrivals({ beat }: { beat: number }) {
  const turn = Math.floor(beat / 6);
  const found = useLoad(`${turn}`, async (signal) => {
    const to = Date.now();
    const from = Math.floor((to - HOUR_MS) / 60_000) * 60_000;
    const over = { from: apiTime(from), to: apiTime(to), interval: 60 };
    const spans = await getMetric({ metric: "spans", ...over }, signal);
    return prepareChart([{ reply: spans, name: "Spans", colour: "accent" }], from, to, to, colours);
  });
  return <Chart title="Spans of the last hour" note="by when they started, this project" data={found.data} kind="bars" height={130} error={found.error?.message} traces={(from, to) => href("traces", { rows: "spans", range: `${apiTime(from)}..${apiTime(to)}` })} />;
}

function Rejected({ rejected, total, received }: { rejected: Record<string, number>; total: number; received: number }) {
  const reasons = Object.entries(rejected).sort((a, b) => b[1] - a[1]);
  return (
    <FigureTable heads={["Reason", { end: "Items" }, `Share of ${formatShare(total / Math.max(1, total + received))} rejected`, "What to do"]}>
      {reasons.map(([reason, count]) => (
        <tr key={reason}>
          <th scope="row">
            <code>{reason}</code>
          </th>
          <td class="end num">{formatExact(count)}</td>
          <td>
            <ShareBar share={count / total} look="warn" />
          </td>
          <td class="wrap">{rejectionHint(reason)}</td>
        </tr>
      ))}
    </FigureTable>
  );
}

const STATES: Record<string, { look: "ok" | "warn" | "error" | "off"; words: string }> = {
  running: { look: "ok", words: "running" },
  starting: { look: "off", words: "starting" },
  standby: { look: "off", words: "done elsewhere" },
  failing: { look: "error", words: "failing" },
};

function Workers({ workers }: { workers: IngestReply["workers"] }) {
  return (
    <FigureTable heads={["Worker", "State", { end: "Lag" }, { end: "Rows" }, { end: "Rate" }, { end: "Busy" }, { end: "Errors" }, "Last run"]}>
      {workers.map((worker) => {
        const state = STATES[worker.state] ?? { look: "off" as const, words: worker.state };
        return (
          <tr key={worker.name}>
            <th scope="row">
              {worker.name}
              <span class="muted"> every {formatDuration(worker.every_s * 1000)}</span>
            </th>
            <td>
              <State look={state.look}>{state.words}</State>
              {worker.catching_up_before && <span class="muted"> catching up</span>}
            </td>
            <td class="end">{worker.lag_s === null ? "not yet" : formatDuration(worker.lag_s * 1000)}</td>
            <td class="end">{worker.kind === "tick" ? "–" : formatCount(worker.rows)}</td>
            <td class="end">{worker.kind === "tick" ? "–" : `${formatCount(Number(worker.rows_per_s.toPrecision(3)))}/s`}</td>
            <td class="end">
              {formatDuration(worker.busy_s * 1000)} in {plural(worker.runs, "run")}
            </td>
            <td class={worker.errors ? "end error-text" : "end"} title={worker.last_error || undefined}>
              {formatCount(worker.errors)}
            </td>
            <td>
              {worker.last_run_at ? <time title={formatFull(worker.last_run_at)}>{formatAgo(worker.last_run_at)}</time> : "never"}
              {worker.last_error && (
                <p class="worker-error error-text" title={worker.last_error}>
                  {worker.last_error_at ? `${formatAgo(worker.last_error_at)}: ` : ""}
                  {worker.last_error}
                </p>
              )}
            </td>
          </tr>
        );
      })}
    </FigureTable>
  );
}
