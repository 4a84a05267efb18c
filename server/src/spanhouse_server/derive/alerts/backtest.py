"""A rule run over the past before it is kept: when it would have fired, and how often it would have told.

The verdicts, the life of alerts and the grouping are the very functions that judge now.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.alerts.grouping import look
from spanhouse_server.derive.alerts.machine import Advance, advance
from spanhouse_server.derive.alerts.rules import kind_of
from spanhouse_server.derive.series import SeriesSource
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import Alert, Channel, Group, Member, Rule, due_when_touched, group_key

#: Evaluations of one back-test: two weeks by the minute.
MAX_STEPS = 20_200
MAX_FIRINGS = 1000
TIME_LIMIT_S = 25.0
#: Who is told where the rule names nobody.
ANYBODY = Channel(id="", project_id="", name="(default)", type="webhook")


@dataclass(slots=True)
class BackTest:
    """What would have happened.

    ``alerts`` are those that would have fired, the oldest first, with those still firing at the end; ``pending``
    counts those that were well again before they fired. ``notifications`` counts messages by channel, ``observed``
    verdicts by state, ``told_s`` gives the times (unix s) of the messages of all channels.
    """

    from_s: int
    to_s: int
    step_s: int
    steps: int = 0
    alerts: list[Alert] = field(default_factory=list)
    pending: int = 0
    left_out: int = 0
    notifications: dict[str, int] = field(default_factory=dict)
    told_s: list[int] = field(default_factory=list)
    observed: Counter[str] = field(default_factory=Counter)


def back_test(
    rule: Rule,
    channels: Sequence[Channel],
    source: SeriesSource,
    from_s: int,
    to_s: int,
    *,
    settle_s: int = 0,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> BackTest:
    """Run a checked rule over ``[from_s, to_s]``; raise ``BadRequest`` for ranges that take too long.

    Evaluations happen at multiples of the rule's ``every_s``, as they would. Silences and inhibitions are not
    applied: they come from people and other rules.
    """
    first_s = -(-from_s // rule.every_s) * rule.every_s
    last_s = to_s // rule.every_s * rule.every_s
    steps = max((last_s - first_s) // rule.every_s + 1, 0)
    if steps == 0:
        raise BadRequest("the range holds no evaluation", f"it must hold a multiple of {rule.every_s} s")
    if steps > MAX_STEPS:
        raise BadRequest(f"{steps} evaluations are more than {MAX_STEPS}", "use a shorter range or a longer every_s")
    found = BackTest(first_s, last_s, rule.every_s)
    players = [_Play(channel) for channel in channels or (ANYBODY,)]
    active: dict[str, Alert] = {}
    ended: list[Alert] = []
    numbers = count(1)
    until_s = monotonic_s() + TIME_LIMIT_S
    for at_s, observations in kind_of(rule).observe_over(rule, source, first_s, last_s, rule.every_s):
        found.steps += 1
        found.observed.update(each.state for each in observations)
        changed = advance(rule, active.values(), observations, at_s, lambda: f"{next(numbers):012d}")
        for alert in changed.alerts.values():
            if alert.state == "resolved":
                active.pop(alert.id, None)
                if alert.fired_s is None:
                    found.pending += 1
                else:
                    ended.append(alert)
            else:
                active[alert.id] = alert
        for play in players:
            play.hear(changed, (at_s + settle_s) * NS_PER_S)
        if monotonic_s() > until_s:
            raise BadRequest(
                f"the back-test took longer than {TIME_LIMIT_S:.0f} s", "use a shorter range or a longer every_s"
            )
    fired = sorted(
        [*ended, *(alert for alert in active.values() if alert.state == "firing")], key=lambda each: each.active_s
    )
    found.alerts, found.left_out = fired[:MAX_FIRINGS], max(len(fired) - MAX_FIRINGS, 0)
    for play in players:
        play.go_to((last_s + settle_s) * NS_PER_S)
        found.notifications[play.channel.name] = len(play.told_ns)
        found.told_s.extend(told_ns // NS_PER_S for told_ns in play.told_ns)
    found.told_s.sort()
    return found


class _Play:
    """What one channel would have been told."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.told_ns: list[int] = []
        self._groups: dict[tuple[tuple[str, str], ...], Group] = {}

    def hear(self, changed: Advance, at_ns: int) -> None:
        """Take in what an evaluation changed, after everything that was due before it."""
        self.go_to(at_ns)
        for step in changed.transitions:
            alert = changed.alerts[step.alert_id]
            key = tuple(sorted(group_key(self.channel, alert).items()))
            if step.to == "firing":
                wait_ns = at_ns + self.channel.group_wait_s * NS_PER_S
                group = self._groups.get(key) or Group("", "", "", dict(key), wait_ns)
                self._groups[key] = self._touched(replace(group, members=[*group.members, Member(alert)]), at_ns)
        self._refresh(changed.alerts, {step.alert_id for step in changed.transitions}, at_ns)

    def go_to(self, now_ns: int) -> None:
        """Look at every group that is due until then, in order of time."""
        while due := [key for key, group in self._groups.items() if group.due_ns <= now_ns]:
            key = min(due, key=lambda each: self._groups[each].due_ns)
            group = self._groups.pop(key)
            seen = look(group, self.channel, lambda _: False, group.due_ns)
            if seen.tell:
                self.told_ns.append(group.due_ns)
            if seen.due_ns is not None:
                self._groups[key] = replace(
                    group, members=seen.members, due_ns=seen.due_ns, notified_ns=seen.notified_ns
                )

    def _refresh(self, alerts: Mapping[str, Alert], stepped: set[str], at_ns: int) -> None:
        for key, group in self._groups.items():
            if any(member.alert.id in alerts for member in group.members):
                members = [replace(member, alert=alerts.get(member.alert.id, member.alert)) for member in group.members]
                group = replace(group, members=members)
                if any(member.alert.id in stepped for member in members):
                    group = self._touched(group, at_ns)
                self._groups[key] = group

    def _touched(self, group: Group, at_ns: int) -> Group:
        due_ns = due_when_touched(group.due_ns, group.notified_ns, self.channel.group_interval_s, at_ns)
        return replace(group, due_ns=due_ns)
