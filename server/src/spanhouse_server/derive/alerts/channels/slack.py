"""Messages for Slack's incoming webhooks, and for those that take the same (Mattermost, Rocket.Chat, Discord's /slack)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from spanhouse_server.derive.alerts.channels.contract import Message, Outward, Secrets, Setup
from spanhouse_server.derive.alerts.channels.http import post
from spanhouse_server.derive.alerts.channels.options import Options, origin_of
from spanhouse_server.derive.alerts.message import title_of

#: Slack shows twenty attachments at most.
MAX_ATTACHMENTS = 20
#: What Mattermost, Rocket.Chat and Discord take for a call to everyone, wherever it stands.
_CALLS = re.compile(r"@(?=(?:all|channel|everyone|here)\b)", re.IGNORECASE)
_COLOURS = {"critical": "#d1242f", "warning": "#d4a72c", "resolved": "#2da44e"}


class Slack:
    """Secret: ``url``, the webhook's address. Options: ``channel`` and ``username``, where the receiver takes them."""

    name = "slack"
    secrets = ("url",)

    def check(self, options: Mapping[str, Any], secrets: Secrets) -> Setup:
        """Return the options; raise ``BadRequest``."""
        given = Options(options, secrets)
        target = origin_of(given.secret("url", needed=True), "secrets.url")
        given.text("channel")
        given.text("username")
        return Setup(given.finish(), target)

    def send(self, options: Mapping[str, Any], secrets: Secrets, message: Message, outward: Outward) -> None:
        """Post the message as attachments, one an alert."""
        body = slack_body(message)
        body |= {name: options[name] for name in ("channel", "username") if options.get(name)}
        post(secrets["url"], body, {}, outward)


def slack_body(message: Message) -> dict[str, Any]:
    """Return the JSON that Slack takes."""
    alerts = message["alerts"]
    attachments = [_attachment(item) for item in alerts[:MAX_ATTACHMENTS]]
    more = len(alerts) - len(attachments) + message["left_out"]
    if more:
        attachments.append({"text": f"and {more} more", "title_link": message["url"], "title": "All alerts"})
    return {"text": _escaped(headline(message)), "attachments": attachments}


def headline(message: Message) -> str:
    """Return one line for a message: ``[FIRING:2] High cost``."""
    state = f"FIRING:{message['firing']}" if message["firing"] else "RESOLVED"
    names = list(dict.fromkeys(item["rule"]["name"] for item in message["alerts"]))
    again = " (still)" if message["repeat"] else ""
    return f"[{state}]{again} {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _attachment(item: Mapping[str, Any]) -> dict[str, Any]:
    look = "resolved" if item["status"] == "resolved" else item["severity"]
    traces = item["evidence"].get("traces", [])
    lines = [item["reason"]] if item["reason"] else []
    lines.append(
        f"since {item['fired_at'][:19]}Z" + (f" until {item['resolved_at'][:19]}Z" if item["resolved_at"] else "")
    )
    text = "\n".join(_escaped(line) for line in lines)
    if traces:
        links = ", ".join(f"<{each['url']}|{_escaped(each['trace_id'][:8])}>" for each in traces)
        text += f"\ntraces: {links}"
    return {
        "color": _COLOURS[look],
        "fallback": _escaped(title_of(item)),
        "title": _escaped(f"{look}: {title_of(item)}"),
        "title_link": item["url"],
        "text": text,
    }


def _escaped(text: str) -> str:
    """Return a text that formats nothing and calls nobody: labels hold what callers of models wrote."""
    quiet = _CALLS.sub("@\u200b", text)
    return quiet.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
