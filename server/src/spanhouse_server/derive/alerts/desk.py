"""What people do with alerts, checked: rules, channels and their trials."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.derive.alerts.backtest import BackTest, Past, back_test
from spanhouse_server.derive.alerts.channels import CHANNELS
from spanhouse_server.derive.alerts.channels.contract import Outward, Setup
from spanhouse_server.derive.alerts.deliver import bound_to, send
from spanhouse_server.derive.alerts.message import message
from spanhouse_server.derive.alerts.rules import checked, kind_of
from spanhouse_server.derive.series import StoreSeries
from spanhouse_server.errors import BadRequest, Unavailable, Undelivered
from spanhouse_server.model.alerts import Alert, Channel, Group, Rule
from spanhouse_server.store.alert_records import AlertRecords
from spanhouse_server.store.contract import ColumnarStore

#: Seconds that each pause of a channel may take: lowest and highest.
PAUSES_S = {
    "group_wait_s": (0, 3600),
    "group_interval_s": (1, 86_400),
    "repeat_interval_s": (60, 7 * 86_400),
}
#: Alerts of other rules that a back-test looks at, those that fired last.
MAX_OTHERS = 2000
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Trial:
    """How a test message went; ``error`` is empty when it was taken."""

    delivered: bool
    error: str
    took_ms: float


class AlertDesk:
    """Checks what people want of alerts and does it, for the API and the command line."""

    def __init__(
        self,
        store: ColumnarStore,
        records: AlertRecords,
        outward: Outward,
        *,
        settle_s: int = 30,
        public_url: str = "",
    ) -> None:
        self._store = store
        self._records = records
        self._outward = outward
        self._settle_s = settle_s
        self.public_url = public_url

    def checked_rule(self, rule: Rule) -> Rule:
        """Return a rule that can be kept and evaluated: it is judged once. Raises ``BadRequest``, ``BadQuery``.

        A rule for metrics that come later passes; so does any while the store is away, which is not its fault.
        """
        rule = checked(rule)
        at_s = (now_ns() // NS_PER_S - self._settle_s) // rule.every_s * rule.every_s
        with suppress(Unavailable):
            kind = kind_of(rule)
            # Judging an anomaly rule begins with weeks of history: reading a bucket of it says as much here.
            getattr(kind, "probe", kind.observe)(rule, StoreSeries(self._store), at_s)
        return rule

    def back_test(self, rule: Rule, from_ns: int, to_ns: int) -> BackTest:
        """Run a rule over the past, up to what has settled. Raises ``BadRequest``, ``BadQuery``."""
        rule = checked(rule)
        latest_s = now_ns() // NS_PER_S - self._settle_s
        channels = [each for each in self._records.channels(rule.project_id) if each.name in rule.channels]
        missing = sorted(set(rule.channels) - {each.name for each in channels})
        if missing:
            raise BadRequest(f"channels: there is no channel {missing[0][:60]!r}")
        return back_test(
            rule,
            channels,
            StoreSeries(self._store),
            from_ns // NS_PER_S,
            min(to_ns // NS_PER_S, latest_s),
            past=self._past(rule, from_ns, to_ns),
            settle_s=self._settle_s,
        )

    def _past(self, rule: Rule, from_ns: int, to_ns: int) -> Past:
        """Return what held messages back in a range. What the rule itself fired then, under its name, is left out."""
        project_id = rule.project_id
        fired = self._records.fired_between(project_id, from_ns // NS_PER_S, to_ns // NS_PER_S, MAX_OTHERS)
        rules = [each for each in self._records.rules(project_id) if each.id != rule.id]
        return Past(
            self._records.silences(project_id, from_ns),
            self._records.inhibitions(project_id),
            [each for each in fired if each.alert.rule_id != rule.id and each.alert.rule_name != rule.name],
            [*rules, rule],
        )

    def checked_channel(self, channel: Channel, given: Mapping[str, str], before: Channel | None = None) -> Channel:
        """Return a channel that can be kept, its secrets sealed. Raises ``BadRequest``.

        ``given`` holds the secrets that are set anew; those that are left out stay as they were ``before``, an
        empty one is removed.
        """
        old = {}
        # What is given anew as a whole needs nothing of what was: the master key may be another by now.
        if before is not None and before.type == channel.type and not set(before.secrets_set) <= set(given):
            old = self._opened(before)
        own = {name: value for name, value in {**old, **given}.items() if value}
        setup = check_channel(channel, own)
        if before is not None and old and setup.target != before.target:
            kept = sorted(name for name in own if name not in given and name != "url")
            if kept:
                raise BadRequest(
                    f"secrets.{kept[0]} was set for {before.target} and is not sent to {setup.target}",
                    "give the secrets again with the new address",
                )
        channel = replace(
            channel,
            id=channel.id or secrets.token_hex(8),
            options=setup.options,
            target=setup.target,
            secrets_set=tuple(name for name in CHANNELS[channel.type].secrets if own.get(name)),
        )
        return replace(channel, sealed=self._outward.seal(own, bound_to(channel)))

    def _opened(self, channel: Channel) -> dict[str, str]:
        try:
            return self._outward.unseal(channel.sealed, bound_to(channel))
        except Undelivered as error:
            raise BadRequest(error.message, "delete the channel and make it again") from None

    def try_channel(self, channel: Channel) -> Trial:
        """Send a message that says it is a test, at once."""
        at_ns = now_ns()
        sample = Alert(
            id="test" + secrets.token_hex(8),
            project_id=channel.project_id,
            rule_id="test",
            rule_name="Test of a channel",
            rule_type="test",
            rule_version=0,
            metric="",
            fingerprint="0" * 16,
            labels={"test": "true"},
            state="resolved",
            severity="warning",
            active_s=at_ns // NS_PER_S,
            bad_s=at_ns // NS_PER_S,
            seen_s=at_ns // NS_PER_S,
            fired_s=at_ns // NS_PER_S,
            resolved_s=at_ns // NS_PER_S,
            reason="Someone tries whether notifications arrive here. Nothing is wrong.",
        )
        group = Group("test", channel.project_id, channel.id, {"alertname": sample.rule_name}, at_ns)
        test_id = secrets.token_hex(16)
        payload = message(test_id, group, channel, [sample], repeat=False, now_ns=at_ns, public_url=self.public_url)
        started_s = time.monotonic()
        error = ""
        try:
            send(channel, payload, self._outward)
        except Undelivered as failed:
            error = failed.said
        return Trial(not error, error, round((time.monotonic() - started_s) * 1000, 1))


def check_channel(channel: Channel, secrets_of: Mapping[str, str]) -> Setup:
    """Return what becomes of a channel with these secrets, all of them. Raises ``BadRequest`` naming the field."""
    kind = CHANNELS.get(channel.type)
    if kind is None:
        raise BadRequest(
            f"type: there is no type of channel {channel.type[:60]!r}", f"use one of {', '.join(CHANNELS)}"
        )
    if not 0 < len(channel.name.strip()) <= 200:
        raise BadRequest("name: a channel needs a name of 1 to 200 characters")
    for name, (lowest, highest) in PAUSES_S.items():
        if not lowest <= getattr(channel, name) <= highest:
            raise BadRequest(f"{name} must lie between {lowest} and {highest} seconds")
    _check_group_by(channel.group_by)
    return kind.check(channel.options, secrets_of)


def _check_group_by(names: Sequence[str]) -> None:
    if len(names) > 10:
        raise BadRequest("group_by: at most 10 labels")
    for name in names:
        if not _LABEL.fullmatch(name):
            raise BadRequest(f"group_by: {name[:60]!r} is no name of a label")


def public_url_of(settings: Any) -> str:
    """Return where people reach the page: as set, else the address that the server listens on."""
    if settings.public_url:
        return str(settings.public_url).rstrip("/")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - only compared
    return f"http://[{host}]:{settings.http_port}" if ":" in host else f"http://{host}:{settings.http_port}"
