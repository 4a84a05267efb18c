"""Incidents in PagerDuty, by its Events API version 2, and in what takes the same format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanhouse_server.derive.alerts.channels.contract import Message, Outward, Secrets, Setup
from spanhouse_server.derive.alerts.channels.http import post
from spanhouse_server.derive.alerts.channels.options import Options, origin_of
from spanhouse_server.derive.alerts.message import title_of

DEFAULT_URL = "https://events.pagerduty.com/v2/enqueue"
MAX_SUMMARY = 1024


class PagerDuty:
    """Secret: ``routing_key``, the integration's key. Option ``url``: another address, e.g. that of the EU.

    Every alert is an incident of its own; its ``dedup_key`` is the alert's id, so that repetitions change nothing.
    """

    name = "pagerduty"
    secrets = ("routing_key",)

    def check(self, options: Mapping[str, Any], secrets: Secrets) -> Setup:
        """Return the options; raise ``BadRequest``."""
        given = Options(options, secrets)
        given.secret("routing_key", needed=True)
        target = origin_of(given.text("url", DEFAULT_URL), "options.url")
        return Setup(given.finish(), target)

    def send(self, options: Mapping[str, Any], secrets: Secrets, message: Message, outward: Outward) -> None:
        """Post one event an alert."""
        for item in message["alerts"]:
            post(options["url"], event(item, message, secrets["routing_key"]), {}, outward)


def event(item: Mapping[str, Any], message: Message, routing_key: str) -> dict[str, Any]:
    """Return the event for one alert."""
    found: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if item["status"] == "resolved" else "trigger",
        "dedup_key": f"spanhouse-{item['id']}",
        "client": "Spanhouse",
        "client_url": item["url"],
    }
    if item["status"] != "resolved":
        found["payload"] = {
            "summary": title_of(item)[:MAX_SUMMARY],
            "source": message["project"],
            "severity": item["severity"],
            "timestamp": item["fired_at"],
            "component": item["metric"] or item["rule"]["type"],
            "group": item["rule"]["name"],
            "class": item["rule"]["type"],
            "custom_details": {"labels": item["labels"], "value": item["value"], "reason": item["reason"]},
        }
        traces = item["evidence"].get("traces", ())
        found["links"] = [{"href": each["url"], "text": f"trace {each['trace_id'][:8]}"} for each in traces]
    return found
