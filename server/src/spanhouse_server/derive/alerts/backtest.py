"""A rule run over the past before it is kept: when it would have fired, and what would have been sent of it.

The verdicts, the life of alerts, the grouping and the muting are the very functions that judge now.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.alerts.grouping import look
from spanhouse_server.derive.alerts.lines import Line, Lines
from spanhouse_server.derive.alerts.machine import Advance, advance
from spanhouse_server.derive.alerts.muting import Muted, Muting
from spanhouse_server.derive.alerts.rules import kind_of
from spanhouse_server.derive.series import SeriesSource
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import (
    Alert,
    Channel,
    Fired,
    Group,
    Inhibition,
    Member,
    Rule,
    Severity,
    Silence,
    due_when_touched,
    group_key,
)

#: Evaluations of one back-test: two weeks by the minute.
MAX_STEPS = 20_200
MAX_FIRINGS = 1000
TIME_LIMIT_S = 25.0
#: Who is told where the rule names nobody.
ANYBODY = Channel(id="", project_id="", name="(default)", type="webhook")


@dataclass(frozen=True, slots=True)
class Past:
    """What held messages back in the past: silences, inhibitions, and what other rules had firing.

    ``others`` counts as firing from ``fired_s`` to ``resolved_s``. ``rules`` are those of the project.
    """

    silences: Sequence[Silence] = ()
    inhibitions: Sequence[Inhibition] = ()
    others: Sequence[Fired] = ()
    rules: Sequence[Rule] = ()

    def others_firing(self, at_s: int) -> list[Alert]:
        """Return the alerts of other rules as they were at a moment."""
        return [
            replace(alert, state="firing", severity=_severity_at(each, at_s))
            for each in self.others
            if (alert := each.alert).fired_s is not None
            and alert.fired_s <= at_s
            and (alert.resolved_s is None or at_s < alert.resolved_s)
        ]


def _severity_at(fired: Fired, at_s: int) -> Severity:
    return "warning" if fired.escalated_s is not None and at_s < fired.escalated_s else fired.alert.severity


class _Mutes:
    """Tells what was in force at moments of the past. What others inhibit is worked out once until they change."""

    def __init__(self, past: Past) -> None:
        self._past = past
        times_s = [
            time_s for each in past.others for time_s in (each.alert.fired_s, each.escalated_s, each.alert.resolved_s)
        ]
        self._changes_s = sorted({time_s for time_s in times_s if time_s is not None})
        self._others: tuple[int, Muting] | None = None

    def at(self, own: Iterable[Alert], at_ns: int) -> Callable[[Alert], Muted | None]:
        """Return what muted an alert at a moment, at which ``own`` alerts of the tested rule were active."""
        past, number = self._past, bisect_right(self._changes_s, at_ns // NS_PER_S)
        if self._others is None or self._others[0] != number:
            firing = past.others_firing(at_ns // NS_PER_S)
            self._others = number, Muting((), past.inhibitions, firing, at_ns, past.rules)
        mine, others = Muting(past.silences, past.inhibitions, own, at_ns, past.rules), self._others[1]
        return lambda alert: mine.why(alert) or others.why(alert)


@dataclass(slots=True)
class BackTest:
    """What would have happened.

    ``alerts`` are those that would have fired, the oldest first, with those still firing at the end; ``pending``
    counts those that were well again before they fired. ``notifications`` counts messages by channel, ``observed``
    verdicts by state, ``told_s`` gives the times (unix s) of the messages of all channels. ``first_told_s`` gives by
    alert when the first channel heard of it, ``muted`` what held it back when a channel was to be told. ``lines`` are
    the values with what was normal, by group, for kinds that know.
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
    first_told_s: dict[str, int] = field(default_factory=dict)
    muted: dict[str, Muted] = field(default_factory=dict)
    observed: Counter[str] = field(default_factory=Counter)
    lines: Sequence[Line] = ()


def back_test(
    rule: Rule,
    channels: Sequence[Channel],
    source: SeriesSource,
    from_s: int,
    to_s: int,
    *,
    past: Past | None = None,
    settle_s: int = 0,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> BackTest:
    """Run a checked rule over ``[from_s, to_s]``; raise ``BadRequest`` for ranges that take too long.

    Evaluations happen at multiples of the rule's ``every_s``, as they would. Messages are held back as ``past`` says.
    """
    first_s = -(-from_s // rule.every_s) * rule.every_s
    last_s = to_s // rule.every_s * rule.every_s
    steps = max((last_s - first_s) // rule.every_s + 1, 0)
    if steps == 0:
        raise BadRequest("the range holds no evaluation", f"it must hold a multiple of {rule.every_s} s")
    if steps > MAX_STEPS:
        raise BadRequest(f"{steps} evaluations are more than {MAX_STEPS}", "use a shorter range or a longer every_s")
    found = BackTest(first_s, last_s, rule.every_s)
    active: dict[str, Alert] = {}
    mutes = _Mutes(past or Past())
    players = [
        _Play(channel, lambda at_ns: mutes.at(active.values(), at_ns), found) for channel in channels or (ANYBODY,)
    ]
    lines = Lines()
    ended: list[Alert] = []
    numbers = count(1)
    until_s = monotonic_s() + TIME_LIMIT_S
    for at_s, observations in kind_of(rule).observe_over(rule, source, first_s, last_s, rule.every_s):
        found.steps += 1
        found.observed.update(each.state for each in observations)
        lines.add(observations)
        # What was due before is looked at with the alerts as they were then.
        for play in players:
            play.go_to((at_s + settle_s) * NS_PER_S)
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
    found.lines = lines.drawn()
    for play in players:
        play.go_to((last_s + settle_s) * NS_PER_S)
        found.notifications[play.channel.name] = len(play.told_ns)
        found.told_s.extend(told_ns // NS_PER_S for told_ns in play.told_ns)
    found.told_s.sort()
    return found


class _Play:
    """What one channel would have been told."""

    def __init__(
        self, channel: Channel, mutes_at: Callable[[int], Callable[[Alert], Muted | None]], found: BackTest
    ) -> None:
        """``mutes_at`` tells what mutes at a moment (ns); who was told and who was muted is noted in ``found``."""
        self.channel = channel
        self.told_ns: list[int] = []
        self._mutes_at = mutes_at
        self._found = found
        self._groups: dict[tuple[tuple[str, str], ...], Group] = {}

    def hear(self, changed: Advance, at_ns: int) -> None:
        """Take in what an evaluation changed; everything that was due before it has been looked at."""
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
            seen = look(group, self.channel, self._is_muted(group.due_ns), group.due_ns)
            if seen.tell:
                self.told_ns.append(group.due_ns)
                for alert in seen.tell:
                    told_s = group.due_ns // NS_PER_S
                    first_s = self._found.first_told_s.get(alert.id, told_s)
                    self._found.first_told_s[alert.id] = min(first_s, told_s)
            if seen.due_ns is not None:
                self._groups[key] = replace(
                    group, members=seen.members, due_ns=seen.due_ns, notified_ns=seen.notified_ns
                )

    def _is_muted(self, at_ns: int) -> Callable[[Alert], bool]:
        why_at = self._mutes_at(at_ns)

        def is_muted(alert: Alert) -> bool:
            why = why_at(alert)
            if why is not None and (alert.state == "firing" or alert.id not in self._found.first_told_s):
                self._found.muted.setdefault(alert.id, why)
            return why is not None

        return is_muted

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
