"""When a channel hears of which alerts: waiting, intervals and repetitions, as a pure function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.alerts.kinds import told_once
from spanhouse_server.model.alerts import Alert, Channel, Group, Member


@dataclass(frozen=True, slots=True)
class Look:
    """The outcome of looking at a group.

    ``tell`` are the alerts of the message to send, none when there is nothing to say; ``repeat`` marks one that
    says nothing new. ``members`` are those that stay, ``due_ns`` when to look again (``None``: the group is over),
    ``notified_ns`` when the channel was last told.
    """

    tell: Sequence[Alert]
    repeat: bool
    members: Sequence[Member]
    due_ns: int | None
    notified_ns: int | None


def look(group: Group, channel: Channel, is_muted: Callable[[Alert], bool], now_ns: int) -> Look:
    """Return what a channel is to be told of a group now.

    Alerts that were never told and are over are told once, as resolved: what fired is never lost. Muted alerts
    are not told, and forgotten if they end so; one that was told is always told to have ended. What its kind tells
    once (budgets) is in no message between its firing and its end.
    """
    # A time in the future was written before the clock was set back.
    notified_ns = None if group.notified_ns is None else min(group.notified_ns, now_ns)
    muted = {member.alert.id for member in group.members if is_muted(member.alert)}
    fresh: list[Member] = []
    going_on: list[Member] = []
    staying: list[Member] = []
    for member in group.members:
        alert = member.alert
        if alert.state == "resolved":
            if (member.told and channel.send_resolved) or (not member.told and alert.id not in muted):
                fresh.append(member)
        elif alert.id in muted:
            staying.append(member)
        else:
            is_new = member.told != "firing" or member.told_severity != alert.severity
            if is_new:
                fresh.append(member)
            elif not told_once(alert.rule_type):
                going_on.append(member)
            staying.append(replace(member, told="firing", told_severity=alert.severity))
    repeat_ns = channel.repeat_interval_s * NS_PER_S
    repeat = not fresh and bool(going_on) and notified_ns is not None and now_ns - notified_ns >= repeat_ns
    if fresh or repeat:
        notified_ns = now_ns
        tell = [member.alert for member in (*fresh, *going_on)]
    else:
        tell = []
    interval_ns = channel.group_interval_s * NS_PER_S
    if not staying:
        # An empty group stays for an interval, so that what fires again at once waits as any change does.
        rests = notified_ns is not None and now_ns < notified_ns + interval_ns
        return Look(tell, repeat, (), notified_ns + interval_ns if notified_ns and rests else None, notified_ns)
    due_ns = (notified_ns or now_ns) + repeat_ns
    if muted:
        due_ns = min(due_ns, now_ns + interval_ns)
    return Look(tell, repeat, staying, max(due_ns, now_ns + NS_PER_S), notified_ns)
