"""Alerts in the formats of Prometheus Alertmanager: into its API, or as its own webhooks look."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from spanhouse_server.derive.alerts.channels.contract import Message, Outward, Secrets, Setup
from spanhouse_server.derive.alerts.channels.http import post
from spanhouse_server.derive.alerts.channels.options import Options, origin_of
from spanhouse_server.derive.alerts.message import title_of
from spanhouse_server.errors import BadRequest

_NAME = re.compile(r"[^a-zA-Z0-9_]")
#: What Alertmanager writes for an alert that has not ended.
_NEVER = "0001-01-01T00:00:00Z"


class Alertmanager:
    """Secrets: ``url``; ``username`` and ``password``, or ``token``. Option ``format``: ``api`` or ``webhook``.

    ``api`` posts alerts to an Alertmanager, whose address is ``url`` (with ``/api/v2/alerts`` added unless it ends
    so); ``webhook`` posts what an Alertmanager would post to a receiver.
    """

    name = "alertmanager"
    secrets = ("url", "username", "password", "token")

    def check(self, options: Mapping[str, Any], secrets: Secrets) -> Setup:
        """Return the options; raise ``BadRequest``."""
        given = Options(options, secrets)
        target = origin_of(given.secret("url", needed=True), "secrets.url")
        for name in ("username", "password"):
            given.secret(name)
        if not given.secret("token").isascii():
            raise BadRequest("secrets.token holds a character beyond ASCII", "a header cannot carry it")
        given.choice("format", ("api", "webhook"), "api")
        return Setup(given.finish(), target)

    def send(self, options: Mapping[str, Any], secrets: Secrets, message: Message, outward: Outward) -> None:
        """Post the alerts."""
        headers = {}
        if token := secrets.get("token"):
            headers["authorization"] = f"Bearer {token}"
        elif user := secrets.get("username"):
            pair = f"{user}:{secrets.get('password', '')}".encode()
            headers["authorization"] = "Basic " + base64.b64encode(pair).decode()
        url = secrets["url"]
        if options["format"] == "webhook":
            post(url, webhook_body(message), headers, outward)
            return
        if not url.endswith("/api/v2/alerts"):
            url = url.rstrip("/") + "/api/v2/alerts"
        post(url, api_body(message), headers, outward)


def api_body(message: Message) -> list[dict[str, Any]]:
    """Return what ``POST /api/v2/alerts`` takes.

    A firing alert ends by itself when we fall silent for two repetitions: Alertmanager's own limit of five
    minutes would end it long before we repeat it.
    """
    sent = datetime.fromisoformat(message["sent_at"][:19]).replace(tzinfo=UTC)
    lasts = timedelta(seconds=2 * message["repeat_interval_s"])
    return [
        {
            "labels": _labels(item["labels"]),
            "annotations": _annotations(item),
            "startsAt": item["fired_at"],
            "endsAt": item["resolved_at"] or (sent + lasts).isoformat().replace("+00:00", "Z"),
            "generatorURL": item["url"],
        }
        for item in message["alerts"]
    ]


def webhook_body(message: Message) -> dict[str, Any]:
    """Return what an Alertmanager posts to its webhook receivers (version 4)."""
    alerts = [
        {
            "status": item["status"],
            "labels": _labels(item["labels"]),
            "annotations": _annotations(item),
            "startsAt": item["fired_at"],
            "endsAt": item["resolved_at"] or _NEVER,
            "generatorURL": item["url"],
            "fingerprint": item["fingerprint"],
        }
        for item in message["alerts"]
    ]
    return {
        "version": "4",
        "groupKey": message["group"]["id"],
        "truncatedAlerts": message["left_out"],
        "status": message["status"],
        "receiver": message["channel"],
        "groupLabels": _labels(message["group"]["labels"]),
        "commonLabels": _common([each["labels"] for each in alerts]),
        "commonAnnotations": _common([each["annotations"] for each in alerts]),
        "externalURL": message["url"],
        "alerts": alerts,
    }


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels under names that Prometheus allows; empty ones are none there."""
    return {_NAME.sub("_", name): value for name, value in labels.items() if value}


def _annotations(item: Mapping[str, Any]) -> dict[str, str]:
    traces = " ".join(each["url"] for each in item["evidence"].get("traces", ()))
    value = "" if item["value"] is None else f"{item['value']:g}"
    found = {"summary": title_of(item), "description": item["reason"], "value": value, "traces": traces}
    return {name: text for name, text in found.items() if text}


def _common(found: list[dict[str, str]]) -> dict[str, str]:
    if not found:
        return {}
    return {name: text for name, text in found[0].items() if all(each.get(name) == text for each in found)}
