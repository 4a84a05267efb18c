/** What a rule would have done: when it would have fired, and how many messages that makes. */
import { useMemo, useState } from "preact/hooks";
import { backTest, type BackTestReply, getMetric } from "../../api/calls";
import type { RuleInput } from "../../api/client";
import { navigate } from "../../router";
import { formatDuration, formatFull, formatWhen, plural } from "../../state/format";
import { absolute, apiTime, bucketSeconds } from "../../state/time";
import { viewHref } from "../../state/view";
import { Chart } from "../../ui/chart/Chart";
import { type ChartData, Colours, type Figures, type Mark, prepareChart } from "../../ui/chart/prepare";
import { Await, Card, Empty, State } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { useLoad } from "../../ui/useLoad";
import { levelsOf, ratio, unitOf } from "./evidence";
import { isAbout, normalChart } from "./normal";
import { Labels, mutedWords } from "./parts";

const RANGES = [
  { from: "-1d", name: "24 h" },
  { from: "-7d", name: "7 days" },
  { from: "-28d", name: "28 days" },
];
/** Buckets of the chart beside it. */
const AIMED = 140;
const LISTED = 20;

export function BackTest({ rule }: { rule: RuleInput | null }) {
  const [from, setFrom] = useState("-7d");
  const found = useLoad(rule ? `${from}|${JSON.stringify(rule)}` : "", async (signal) => {
    const done = await backTest(rule!, from, signal);
    // Kinds that know what is normal tell their own line with it.
    return { done, chart: done.lines.length ? null : await chartOf(rule!, done, signal) };
  });
  return (
    <div class="back-test">
      <Card
        title="On the past"
        note="what this rule would have done"
        actions={
          <div class="switch" role="group" aria-label="How far back">
            {RANGES.map((range) => (
              <button key={range.from} type="button" aria-pressed={range.from === from} onClick={() => setFrom(range.from)}>
                {range.name}
              </button>
            ))}
          </div>
        }
      >
        {rule === null ? (
          <Empty>Something in the form cannot be read yet.</Empty>
        ) : (
          <Await of={found} lines={8}>
            {({ done, chart }) => (
              <>
                <p class="back-test-sum" role="status">
                  {sentence(done)}
                </p>
                {chart && <Chart {...drawn(rule)} data={chart} />}
                {done.lines.length > 0 && <Normal rule={rule} done={done} />}
                <Fired done={done} />
              </>
            )}
          </Await>
        )}
      </Card>
    </div>
  );
}

function drawn(rule: RuleInput) {
  return { title: rule.metric, kind: "lines" as const, height: 210, traces: (start: number, end: number) => viewHref({ q: rule.q, range: absolute(start, end) }), onOpen: navigate };
}

/** What was measured beside what was normal then, of one group at a time. */
function Normal({ rule, done }: { rule: RuleInput; done: BackTestReply }) {
  const [chosen, setChosen] = useState(0);
  const line = done.lines[chosen] ?? done.lines[0];
  const chart = useMemo(() => {
    const data = normalChart(line, rule.metric);
    return data && { ...data, marks: marksOf(done, (alert) => isAbout(line, alert.labels)) };
  }, [line]);
  return (
    <>
      {done.lines.length > 1 && (
        <label class="by">
          <span>Of</span>
          <select class="select" value={chosen} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {done.lines.map((one, index) => (
              <option key={JSON.stringify(one.labels)} value={index}>
                {Object.values(one.labels).join(" · ") || "everything"}
              </option>
            ))}
          </select>
        </label>
      )}
      <Chart {...drawn(rule)} data={chart} note="the band is what was normal then" />
    </>
  );
}

function marksOf(done: BackTestReply, wanted: (alert: BackTestReply["alerts"][number]) => boolean): Mark[] {
  return done.alerts.filter(wanted).map((alert) => ({ at: Date.parse(alert.fired_at) / 1000, end: Date.parse(alert.resolved_at ?? done.to_time) / 1000, name: "fires", colour: alert.severity === "critical" ? "error" : "warn" }));
}

function sentence(done: BackTestReply): string {
  const count = done.alerts.length + done.left_out;
  const told = Object.values(done.notifications).reduce((sum, one) => sum + one, 0);
  const span = formatDuration(Date.parse(done.to_time) - Date.parse(done.from_time));
  const unknown = done.observed.unknown ?? 0;
  const all = Object.values(done.observed).reduce((sum, one) => sum + one, 0);
  const fired = count === 0 ? `It would not have fired in ${span}` : `It would have fired ${count === 1 ? "once" : `${count} times`} in ${span}`;
  const messages = count === 0 ? "" : Object.keys(done.notifications).length ? ` and sent ${plural(told, "message")}` : "; nobody would have been told";
  const held = done.untold ? `; a silence or a graver alert held back ${done.untold === 1 ? "one" : done.untold}` : "";
  const short = done.pending ? `. ${done.pending === 1 ? "Once" : `${done.pending} times`} it was in breach too briefly` : "";
  const blind = all && unknown === all ? ". There was nothing to judge" : unknown > all / 2 ? ". More than half of the time there was nothing to judge" : "";
  return `${fired}${messages}${held}${short}${blind}.`;
}

/** The rule's own metric with its levels and the times it would have fired; null where the kind has none. */
async function chartOf(rule: RuleInput, done: BackTestReply, signal: AbortSignal): Promise<ChartData | null> {
  if (!rule.metric) return null;
  const from = Date.parse(done.from_time);
  const to = Date.parse(done.to_time);
  const interval = Math.max(bucketSeconds(from, to, AIMED), Math.min(rule.window_s, 86_400));
  const [over, under] = rule.metric.split("/");
  const read = (metric: string) => getMetric({ metric, q: rule.q, group_by: rule.group_by.join(","), limit: 8, interval, from: apiTime(from), to: apiTime(to) }, signal);
  let figures: Figures = { ...(await read(over)), unit: unitOf(rule.metric) };
  if (under) {
    const divisors = new Map((await read(under)).series.map((series) => [JSON.stringify(series.group), series.points]));
    figures = { ...figures, series: figures.series.map((series) => ({ ...series, points: ratio(series.points, divisors.get(JSON.stringify(series.group)) ?? []) })) };
  }
  const data = prepareChart([{ reply: figures, name: rule.metric, colour: rule.group_by.length ? undefined : "accent" }], from, to, Date.now(), new Colours());
  const { above, below, warning } = rule.params as Record<string, unknown>;
  return { ...data, levels: levelsOf({ breach: above ?? below, warning }), marks: marksOf(done, () => true) };
}

function Fired({ done }: { done: BackTestReply }) {
  if (done.alerts.length === 0) return null;
  const newest = [...done.alerts].sort((a, b) => (a.fired_at < b.fired_at ? 1 : -1));
  return (
    <FigureTable
      heads={["Fires", "Lasts", "About"]}
      after={newest.length + done.left_out > LISTED && <p class="muted figure-empty">and {newest.length + done.left_out - LISTED} more</p>}
    >
      {newest.slice(0, LISTED).map((alert) => (
        <tr key={`${alert.fingerprint}${alert.fired_at}`}>
          <th scope="row">
            <State look={alert.severity === "critical" ? "error" : "warn"}>
              <time title={formatFull(alert.fired_at)}>{formatWhen(alert.fired_at)}</time>
            </State>
          </th>
          <td>{alert.resolved_at ? formatDuration(Date.parse(alert.resolved_at) - Date.parse(alert.fired_at)) : "goes on"}</td>
          <td class="wrap">
            <Labels labels={alert.labels} /> {alert.muted && <span class="chip">{mutedWords(alert.muted)}</span>}
            {alert.reason && <p class="muted small reason">{alert.reason}</p>}
          </td>
        </tr>
      ))}
    </FigureTable>
  );
}
