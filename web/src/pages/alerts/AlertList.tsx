/** What fires, is about to, or did. */
import { useEffect, useState } from "preact/hooks";
import { listAlerts } from "../../api/calls";
import type { AlertItem } from "../../api/client";
import { href, place, setParams } from "../../router";
import { formatDuration } from "../../state/format";
import { Await, Card, Empty } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { Icon } from "../../ui/icons";
import { Button } from "../../ui/kit";
import { steady, useBeat, useLoad } from "../../ui/useLoad";
import { AlertState, Labels, measured, mutedWords, When } from "./parts";

const POLL_MS = 10_000;
const STATES = [
  { state: "", asked: "firing,pending", name: "Now" },
  { state: "resolved", asked: "resolved", name: "Resolved" },
  { state: "all", asked: "", name: "All" },
];

export function AlertList() {
  const beat = useBeat(POLL_MS);
  const params = place.value.params;
  const chosen = STATES.find((one) => one.state === params.get("state")) ?? STATES[0];
  const rule = params.get("of") ?? "";
  const name = `${chosen.state}|${rule}`;
  const found = useLoad(`${name}|${beat}`, (signal) => listAlerts({ state: chosen.asked, rule, limit: 50 }, signal));
  const [older, setOlder] = useState<{ items: AlertItem[]; next: string | null | undefined }>({ items: [], next: undefined });
  useEffect(() => setOlder({ items: [], next: undefined }), [name]);
  const next = older.next === undefined ? found.data?.next_cursor : older.next;
  const more = async () => {
    const page = await listAlerts({ state: chosen.asked, rule, limit: 50, cursor: next ?? "" });
    setOlder((old) => ({ items: [...old.items, ...page.items], next: page.next_cursor }));
  };
  return (
    <Card
      title={chosen.state === "" ? "Firing and pending" : chosen.state === "all" ? "All alerts" : "Resolved alerts"}
      note={rule ? "of one rule" : undefined}
      actions={
        <>
          {rule && (
            <Button icon="close" onClick={() => setParams({ of: undefined })}>
              All rules
            </Button>
          )}
          <div class="switch" role="group" aria-label="State">
            {STATES.map((one) => (
              <button key={one.state} type="button" aria-pressed={one === chosen} onClick={() => setParams({ state: one.state || undefined })}>
                {one.name}
              </button>
            ))}
          </div>
        </>
      }
    >
      <Await of={steady(found)}>
        {(list) =>
          list.items.length === 0 ? (
            <Empty>
              {chosen.state === "" ? "Nothing fires." : "No alert yet."} {chosen.state === "" && <a href={href("alerts", { tab: "rules" })}>See the rules</a>}
            </Empty>
          ) : (
            <>
              <AlertTable alerts={merged(list.items, older.items)} />
              {next && (
                <div class="table-more">
                  <Button look="outline" onClick={more}>
                    Older alerts
                  </Button>
                </div>
              )}
            </>
          )
        }
      </Await>
    </Card>
  );
}

function merged(newest: AlertItem[], older: AlertItem[]): AlertItem[] {
  const known = new Set(newest.map((alert) => alert.id));
  return [...newest, ...older.filter((alert) => !known.has(alert.id))];
}

function AlertTable({ alerts }: { alerts: AlertItem[] }) {
  return (
    <FigureTable heads={["State", "Rule", "About", { end: "Value" }, "Began", "Lasted"]}>
      {alerts.map((alert) => (
        <tr key={alert.id}>
          <td>
            <AlertState alert={alert} />
            {alert.muted && (
              <span class="muted-mark" title={mutedWords(alert.muted)}>
                <Icon name="mute" size={14} />
                <span class="visually-hidden">{mutedWords(alert.muted)}</span>
              </span>
            )}
          </td>
          <th scope="row" class="wrap">
            <a href={href("alerts", { id: alert.id })}>{alert.rule.name}</a>
            <p class="muted small reason">{alert.reason}</p>
          </th>
          <td>
            <Labels labels={alert.labels} />
          </td>
          <td class="end">{measured(alert)}</td>
          <td>
            <When at={alert.began_at} />
          </td>
          <td>{alert.resolved_at ? formatDuration(Date.parse(alert.resolved_at) - Date.parse(alert.began_at)) : alert.status === "firing" ? "goes on" : "–"}</td>
        </tr>
      ))}
    </FigureTable>
  );
}
