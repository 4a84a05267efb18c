/** The rules of the project and how they stand. */
import { useState } from "preact/hooks";
import { deleteRule, listRules } from "../../api/calls";
import type { RuleItem } from "../../api/client";
import { href } from "../../router";
import { plural } from "../../state/format";
import { Await, Card, Empty, State } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { Confirm } from "../../ui/form";
import { Button } from "../../ui/kit";
import { steady, useBeat, useLoad } from "../../ui/useLoad";
import { When } from "./parts";
import { writeSeconds } from "./rules";

const POLL_MS = 15_000;
const LOOKS = { firing: "error", error: "error", pending: "warn", unknown: "off", new: "off", off: "off", ok: "ok" } as const;
const WORDS: Record<RuleItem["state"], string> = { firing: "firing", error: "cannot be judged", pending: "pending", unknown: "nothing measured", new: "new", off: "off", ok: "well" };

export function Rules() {
  const beat = useBeat(POLL_MS);
  const [stamp, setStamp] = useState(0);
  const [removed, setRemoved] = useState<RuleItem | null>(null);
  const found = useLoad(`${beat}|${stamp}`, listRules);
  return (
    <Card
      title="Rules"
      note={found.data ? plural(found.data.items.length, "rule") : undefined}
      actions={
        <a class="btn btn-outline" href={href("alerts", { rule: "new" })}>
          Add a rule
        </a>
      }
    >
      <Await of={steady(found)}>
        {(list) =>
          list.items.length === 0 ? (
            <Empty>
              No rule yet. <code>spanhouse alerts apply</code> brings rules from files; the ones that come with Spanhouse watch cost, latency and errors against their own history.
            </Empty>
          ) : (
            <FigureTable heads={["State", "Rule", "Measures", "Tells", "Judged", { hidden: "Delete" }]}>
              {list.items.map((rule) => (
                <tr key={rule.id}>
                  <td>
                    <State look={LOOKS[rule.state]}>{WORDS[rule.state]}</State>
                    {rule.alerts.firing + rule.alerts.pending > 0 && (
                      <p class="small">
                        <a href={href("alerts", { of: rule.id })}>{plural(rule.alerts.firing + rule.alerts.pending, "alert")}</a>
                      </p>
                    )}
                  </td>
                  <th scope="row" class="wrap">
                    <a href={href("alerts", { rule: rule.id })}>{rule.name}</a>
                    <p class="muted small reason">
                      {rule.type.replace("_", " ")}, {rule.severity}
                      {rule.managed_by === "file" && ", from a file"}
                    </p>
                    {rule.error && <p class="error-text small reason">{rule.error}</p>}
                    {!rule.error && rule.state === "unknown" && <p class="muted small reason">{rule.reason}</p>}
                  </th>
                  <td>
                    <code>{rule.metric || rule.type}</code>
                    <p class="muted small">
                      over {writeSeconds(rule.window_s)}
                      {rule.group_by.length > 0 && `, by ${rule.group_by.join(", ")}`}
                      {rule.q && (
                        <>
                          {" "}
                          where <code>{rule.q}</code>
                        </>
                      )}
                    </p>
                  </td>
                  <td class="wrap">{rule.channels.join(", ") || <span class="muted">nobody</span>}</td>
                  <td>
                    <When at={rule.evaluated_at} />
                    <p class="muted small">every {writeSeconds(rule.every_s)}</p>
                  </td>
                  <td class="end">
                    <Button icon="trash" label={`Delete ${rule.name}`} onClick={() => setRemoved(rule)} />
                  </td>
                </tr>
              ))}
            </FigureTable>
          )
        }
      </Await>
      {removed && (
        <Confirm
          title={`Delete the rule ${removed.name}?`}
          doing="Delete"
          act={() => deleteRule(removed.id)}
          onClose={() => setRemoved(null)}
          onDone={() => {
            setRemoved(null);
            setStamp((n) => n + 1);
          }}
        >
          Its alerts end; who heard of them hears of that.
        </Confirm>
      )}
    </Card>
  );
}
