/** Small parts that several views of alerts share. */
import type { AlertItem, AlertDetail } from "../../api/client";
import { formatAgo, formatFull } from "../../state/format";
import { formatValue } from "../../ui/chart/prepare";
import { State } from "../../ui/figures";
import { unitOf } from "./evidence";

/** Labels that say what the columns beside them say already. */
const OWN = new Set(["alertname", "severity", "project", "type", "metric"]);

export function AlertState({ alert }: { alert: Pick<AlertItem, "status" | "severity"> }) {
  if (alert.status === "resolved") return <State look="ok">resolved</State>;
  if (alert.status === "pending") return <State look="off">pending</State>;
  return <State look={alert.severity === "critical" ? "error" : "warn"}>{alert.severity}</State>;
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  const shown = Object.entries(labels).filter(([name]) => !OWN.has(name));
  return (
    <span class="labels">
      {shown.map(([name, value]) => (
        <span key={name} class="chip" title={`${name}: ${value}`}>
          {name} <b class="ellipsis">{value || "(none)"}</b>
        </span>
      ))}
    </span>
  );
}

export function measured(alert: Pick<AlertItem, "value" | "metric">): string {
  return formatValue(alert.value, unitOf(alert.metric));
}

export function When({ at }: { at: string | null }) {
  return at ? (
    <time dateTime={at} title={formatFull(at)}>
      {formatAgo(at)}
    </time>
  ) : (
    <span class="muted">–</span>
  );
}

/** Why nobody is told of an alert, if so. */
export function mutedWords(muted: AlertDetail["muted"]): string {
  if (!muted) return "";
  return muted.by === "silence" ? "silenced" : "held back by a graver alert";
}
