"""What a notification says, before a channel gives it its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from spanhouse_server.clock import NS_PER_S, rfc3339
from spanhouse_server.model.alerts import Alert, Channel, Group, all_labels

#: Alerts that one message lists; the others are counted.
MAX_LISTED = 50
#: Characters of a label's value in a message, and in a title: receivers refuse what is too long as a whole, and whoever
#: calls a model writes such values.
MAX_LABEL, MAX_TITLE_LABEL = 500, 100


def message(
    notification_id: str,
    group: Group,
    channel: Channel,
    alerts: Sequence[Alert],
    *,
    repeat: bool,
    now_ns: int,
    public_url: str,
) -> dict[str, Any]:
    """Return a notification as JSON: the same for all attempts, and what every channel makes its message of.

    Firing alerts come first, critical ones before warnings.
    """
    ranked = sorted(alerts, key=lambda each: (each.state == "resolved", each.severity != "critical", -each.active_s))
    firing = sum(alert.state == "firing" for alert in alerts)
    return {
        "version": 1,
        "id": notification_id,
        "status": "firing" if firing else "resolved",
        "repeat": repeat,
        "project": group.project_id,
        "channel": channel.name,
        "group": {"id": group.id, "labels": _shortened(group.key)},
        "sent_at": rfc3339(now_ns),
        "firing": firing,
        "resolved": len(alerts) - firing,
        "left_out": max(len(alerts) - MAX_LISTED, 0),
        "repeat_interval_s": channel.repeat_interval_s,
        "url": f"{public_url}/alerts?project={quote(group.project_id)}",
        "alerts": [alert_item(alert, public_url) for alert in ranked[:MAX_LISTED]],
    }


def alert_item(alert: Alert, public_url: str) -> dict[str, Any]:
    """Return an alert as receivers get it, with its evidence."""
    return {
        "id": alert.id,
        "fingerprint": alert.fingerprint,
        "status": alert.state,
        "severity": alert.severity,
        "rule": {"id": alert.rule_id, "name": alert.rule_name, "type": alert.rule_type},
        "metric": alert.metric,
        "labels": _shortened(all_labels(alert)),
        "value": alert.value,
        "reason": alert.reason,
        "began_at": _time(alert.active_s),
        "fired_at": _time(alert.fired_s),
        "resolved_at": _time(alert.resolved_s),
        "evidence": dict(alert.evidence),
        "url": alert_url(alert, public_url),
    }


def alert_url(alert: Alert, public_url: str) -> str:
    """Return the address of an alert's page."""
    return f"{public_url}/alerts?id={quote(alert.id)}&project={quote(alert.project_id)}"


def title_of(item: Mapping[str, Any]) -> str:
    """Return one line for an alert of a message: ``High cost: cost_usd is 12.5 (model gpt-4o)``."""
    own = {n: v for n, v in item["labels"].items() if n not in ("alertname", "severity", "project", "type", "metric")}
    about = f" ({', '.join(f'{name} {shortened(own[name], MAX_TITLE_LABEL)}' for name in sorted(own))})" if own else ""
    value = item["value"]
    measured = f": {item['metric'] or 'value'} is {number(value)}" if value is not None else ""
    return f"{item['rule']['name']}{measured}{about}"


def shortened(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters, which tells that it was cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _shortened(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: shortened(value, MAX_LABEL) for name, value in labels.items()}


def number(value: float) -> str:
    """Return a figure for people: six digits that matter."""
    return f"{value:.6g}"


def _time(at_s: int | None) -> str | None:
    return None if at_s is None else rfc3339(at_s * NS_PER_S)
