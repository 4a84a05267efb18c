"""A replay run through rules, the alerts' state machine, inhibition and grouping: what a channel would be told."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.alerts.grouping import look
from spanhouse_server.derive.alerts.machine import advance
from spanhouse_server.derive.alerts.muting import Muting
from spanhouse_server.derive.alerts.rule_files import DEFAULT_RULES, read_rules
from spanhouse_server.derive.alerts.rules import checked, kind_of
from spanhouse_server.derive.series import SeriesSource
from spanhouse_server.model.alerts import (
    DEFAULT_INHIBITIONS,
    Alert,
    Channel,
    Group,
    Member,
    Rule,
    due_when_touched,
    group_key,
)
from tests.simulator.source import PROJECT

#: One group per service: what goes wrong there at one time is told together.
CHANNEL = Channel("channel", PROJECT, "on call", "webhook", group_by=("service",))


@dataclass(frozen=True)
class Page:
    """One message to the channel: when, the alerts in it that it had not been told of, is it a repetition?"""

    at_s: float
    service: str
    new: Sequence[Alert]
    firing: int
    repeat: bool


@dataclass
class Outcome:
    """What came of a replay: messages in the order of time, and every alert that fired, as it was when it did."""

    pages: list[Page] = field(default_factory=list)
    fired: list[Alert] = field(default_factory=list)


def default_rules() -> list[Rule]:
    """Return the rules that are shipped, as they are kept."""
    return [_rule(index, written.fields) for index, written in enumerate(read_rules(DEFAULT_RULES))]


def _rule(index: int, given: Mapping[str, Any]) -> Rule:
    known = {**given, "written": given.get("params", {}), "group_by": tuple(given.get("group_by", ()))}
    known.pop("params", None)
    return checked(Rule(id=f"rule-{index}", project_id=PROJECT, **known))


def replay(
    rules: Sequence[Rule], source: SeriesSource, from_s: int, to_s: int, step_s: int = 300, channel: Channel = CHANNEL
) -> Outcome:
    """Evaluate all rules every ``step_s`` and return what the channel is told; nothing is sent anywhere."""
    numbers = itertools.count()
    outcome = Outcome()
    active: dict[str, dict[str, Alert]] = {rule.id: {} for rule in rules}
    groups = _Groups(channel, outcome)
    watches = [kind_of(rule).observe_over(rule, source, from_s, to_s, step_s) for rule in rules]
    for observed in zip(*watches, strict=True):
        at_s = observed[0][0]
        groups.look_until(at_s)
        for rule, (_, observations) in zip(rules, observed, strict=True):
            if not active[rule.id] and all(each.state in ("ok", "unknown") for each in observations):
                continue
            done = advance(rule, active[rule.id].values(), observations, at_s, lambda: f"alert-{next(numbers)}")
            for alert in done.alerts.values():
                active[rule.id].pop(alert.fingerprint, None)
                if alert.state != "resolved":
                    active[rule.id][alert.fingerprint] = alert
            for step in done.transitions:
                if step.to == "firing":
                    outcome.fired.append(done.alerts[step.alert_id])
                if step.to in ("firing", "escalated", "resolved"):
                    groups.changed(done.alerts[step.alert_id], at_s)
    groups.look_until(to_s + channel.group_interval_s)
    return outcome


class _Groups:
    """The channel's groups, looked at when they are due."""

    def __init__(self, channel: Channel, outcome: Outcome) -> None:
        self._channel = channel
        self._outcome = outcome
        self._groups: dict[str, Group] = {}

    def changed(self, alert: Alert, at_s: int) -> None:
        """Take in an alert that began to fire, got worse or ended."""
        key = group_key(self._channel, alert)
        service = key["service"]
        group = self._groups.get(service)
        if group is None:
            if alert.state != "firing":
                return
            group = Group(service, PROJECT, self._channel.id, key, (at_s + self._channel.group_wait_s) * NS_PER_S)
        members = {member.alert.id: member for member in group.members}
        if alert.state == "firing" or alert.id in members:
            members[alert.id] = replace(members.get(alert.id, Member(alert)), alert=alert)
        due_ns = due_when_touched(group.due_ns, group.notified_ns, self._channel.group_interval_s, at_s * NS_PER_S)
        self._groups[service] = replace(group, members=tuple(members.values()), due_ns=due_ns)

    def look_until(self, at_s: int) -> None:
        """Look at the groups that are due until then."""
        for service, group in list(self._groups.items()):
            while group.due_ns <= at_s * NS_PER_S:
                now_ns = group.due_ns
                firing = [member.alert for each in self._groups.values() for member in each.members]
                muting = Muting((), DEFAULT_INHIBITIONS, firing, now_ns)
                seen = look(group, self._channel, lambda alert, muting=muting: muting.why(alert) is not None, now_ns)
                told = {member.alert.id for member in group.members if member.told == "firing"}
                if seen.tell:
                    new = [alert for alert in seen.tell if alert.state == "firing" and alert.id not in told]
                    firing_now = sum(alert.state == "firing" for alert in seen.tell)
                    self._outcome.pages.append(Page(now_ns / NS_PER_S, service, new, firing_now, seen.repeat))
                if seen.due_ns is None:
                    del self._groups[service]
                    break
                group = replace(group, members=seen.members, due_ns=seen.due_ns, notified_ns=seen.notified_ns)
                self._groups[service] = group
