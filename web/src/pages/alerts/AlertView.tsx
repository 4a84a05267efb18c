/** One alert with its evidence: what was measured, against what, example traces, and its history. */
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { getAlert } from "../../api/calls";
import type { AlertDetail } from "../../api/client";
import { href, navigate } from "../../router";
import { formatDuration, formatFull, formatWhen } from "../../state/format";
import { absolute } from "../../state/time";
import { viewHref } from "../../state/view";
import { Chart } from "../../ui/chart/Chart";
import { formatValue } from "../../ui/chart/prepare";
import { Await, Card, Empty } from "../../ui/figures";
import { Button, CopyButton } from "../../ui/kit";
import { steady, useBeat, useLoad } from "../../ui/useLoad";
import { evidenceChart, tracesOf, unitOf } from "./evidence";
import { AlertState, Labels, measured, mutedWords, When } from "./parts";
import { SilenceForm } from "./Silences";

const POLL_MS = 15_000;
/** Labels by which a silence is proposed: what tells this alert from others, not how grave it is. */
const NOT_MATCHED = new Set(["severity", "project", "type", "metric"]);

export function AlertView({ id }: { id: string }) {
  const beat = useBeat(POLL_MS);
  const [stamp, setStamp] = useState(0);
  const found = useLoad(`${id}|${beat}|${stamp}`, (signal) => getAlert(id, signal));
  return (
    <Await of={steady(found)} lines={6}>
      {(alert) => <Shown alert={alert} onChange={() => setStamp((n) => n + 1)} />}
    </Await>
  );
}

function Shown({ alert, onChange }: { alert: AlertDetail; onChange: () => void }) {
  const [silencing, setSilencing] = useState(false);
  const evidence = alert.evidence as Record<string, unknown>;
  const fired = alert.fired_at ? Date.parse(alert.fired_at) / 1000 : null;
  const chart = useMemo(() => evidenceChart(evidence, alert.metric, fired), [JSON.stringify(evidence), fired]);
  const traces = tracesOf(evidence);
  const unit = unitOf(alert.metric);
  return (
    <div class="figures-body figures-inner">
      <section class="alert-head" aria-label="Alert">
        <div class="alert-title">
          <AlertState alert={alert} />
          <h2>{alert.rule.name}</h2>
          <span class="grow" />
          <CopyButton text={alert.url || window.location.href} label="Copy the link" />
          {alert.status !== "resolved" && (
            <Button look="outline" icon="mute" onClick={() => setSilencing(true)}>
              Silence
            </Button>
          )}
          <a class="btn btn-outline" href={href("alerts", { rule: alert.rule.id })}>
            Rule
          </a>
        </div>
        <p class="alert-reason">{alert.reason}</p>
        <Labels labels={alert.labels} />
        <dl class="alert-facts num">
          <Fact name="Measured">{measured(alert)}</Fact>
          <Fact name="Metric">{alert.metric ? <code>{alert.metric}</code> : "–"}</Fact>
          <Fact name="Began">
            <When at={alert.began_at} />
          </Fact>
          <Fact name="Fired">
            <When at={alert.fired_at} />
          </Fact>
          <Fact name="Resolved">{alert.resolved_at ? <When at={alert.resolved_at} /> : alert.status === "pending" ? "not fired yet" : "not yet"}</Fact>
          <Fact name="Told">{alert.muted ? mutedWords(alert.muted) : alert.status === "pending" ? "not yet" : "yes, by the rule's channels"}</Fact>
        </dl>
      </section>
      {chart ? (
        <Chart title="Evidence" note={alert.metric} data={chart} kind="lines" height={230} traces={(from, to) => viewHref({ range: absolute(from, to) })} onOpen={navigate} />
      ) : (
        <Card title="Evidence">
          <Empty>{String(evidence.series_missing ?? evidence.left_out ?? "This kind of alert has no line to draw.")}</Empty>
        </Card>
      )}
      <div class="two-columns">
        <Card title="Example traces" note="of the time before it fired">
          {traces.length === 0 ? (
            <Empty>{typeof evidence.traces_missing === "string" ? evidence.traces_missing : "None was found."}</Empty>
          ) : (
            <ul class="alert-traces">
              {traces.map((trace) => (
                <li key={trace.traceId}>
                  <a href={href("trace", { id: trace.traceId })}>{trace.name || trace.traceId}</a>
                  <time class="muted num" title={formatFull(trace.time)}>
                    {formatWhen(trace.time)}
                  </time>
                </li>
              ))}
            </ul>
          )}
        </Card>
        <Card title="History" actions={<a href={href("alerts", { state: "all", of: alert.rule.id })}>All of this rule</a>}>
          <ol class="alert-history num">
            {alert.history.map((step, index) => (
              <li key={`${step.at}${step.step}`}>
                <b>{step.step}</b>
                <time title={formatFull(step.at)}>{formatWhen(step.at)}</time>
                <span class="muted">
                  {index > 0 && `after ${formatDuration(Math.max(0, Date.parse(step.at) - Date.parse(alert.history[index - 1].at)))} · `}
                  {formatValue(step.value, unit)}
                </span>
                {step.reason && <p class="muted small">{step.reason}</p>}
              </li>
            ))}
          </ol>
        </Card>
      </div>
      {silencing && (
        <SilenceForm
          labels={Object.fromEntries(Object.entries(alert.labels).filter(([name]) => !NOT_MATCHED.has(name)))}
          onClose={() => setSilencing(false)}
          onSaved={() => {
            setSilencing(false);
            onChange();
          }}
        />
      )}
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
