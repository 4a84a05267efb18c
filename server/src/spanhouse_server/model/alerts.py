"""Alert rules, channels, silences, and what became of them: the nouns that store, engine and API share.

Times named ``_ns`` are nanoseconds since 1970, times named ``_s`` whole unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

Severity = Literal["warning", "critical"]
NoData = Literal["ok", "alert", "keep", "ignore"]
AlertState = Literal["pending", "firing", "resolved"]
Step = Literal["pending", "firing", "escalated", "resolved", "cleared"]
DeliveryState = Literal["waiting", "delivered", "failed"]

SEVERITIES: tuple[Severity, ...] = ("warning", "critical")
NO_DATA: tuple[NoData, ...] = ("ok", "alert", "keep", "ignore")


@dataclass(frozen=True, slots=True)
class Rule:
    """What to watch, when it is a breach, and whom to tell.

    ``written`` holds the kind's parameters as given (JSON); ``params`` the same as the kind's own type, which
    ``derive.alerts.rules.prepared`` fills in. Whatever breaches is pending until it did so for ``for_s`` seconds,
    and goes on firing until it was well for ``keep_firing_s``. ``managed_by`` is ``file`` for rules that came
    with ``spanhouse alerts apply``. Alerts that began under another ``changed_ns`` are about another measure and end.
    """

    id: str
    project_id: str
    name: str
    type: str
    metric: str = ""
    q: str = ""
    group_by: tuple[str, ...] = ()
    window_s: int = 300
    every_s: int = 60
    for_s: int = 0
    keep_firing_s: int = 0
    severity: Severity = "critical"
    written: Mapping[str, Any] = field(default_factory=dict)
    params: Any = None
    no_data: NoData = "ok"
    channels: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    enabled: bool = True
    managed_by: str = ""
    created_ns: int = 0
    updated_ns: int = 0
    changed_ns: int = 0


@dataclass(frozen=True, slots=True)
class RuleProgress:
    """How far a rule was evaluated: the last moment (unix s, ``None``: never), what it found, what failed.

    ``observed`` counts the groups that the last evaluation saw, by state; ``reason`` says why the unknown ones are.
    ``error`` is why the last attempt failed, empty when it did not.
    """

    evaluated_s: int | None = None
    observed: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    error: str = ""
    error_since_ns: int | None = None
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """A page of alerts, the newest first: what to show and the (``active_s``, ``id``) after which it begins."""

    states: tuple[AlertState, ...] = ()
    rule_id: str = ""
    severity: str = ""
    limit: int = 50
    after: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """What became of a channel's notifications, and the last failure."""

    waiting: int = 0
    delivered: int = 0
    failed: int = 0
    last_delivered_ns: int | None = None
    last_error: str = ""
    last_error_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One time that one rule found one set of labels in breach: from pending to resolved.

    ``labels`` are those of the group, with the rule's own. ``fingerprint`` is the same each time they fire.
    ``bad_s`` is the last evaluation in breach, ``seen_s`` the last one at all. ``severity`` is the highest so far.
    ``rule_version`` is the rule's ``changed_ns`` when it began. ``evidence`` is that of the last transition.
    """

    id: str
    project_id: str
    rule_id: str
    rule_name: str
    rule_type: str
    rule_version: int
    metric: str
    fingerprint: str
    labels: Mapping[str, str]
    state: AlertState
    severity: Severity
    active_s: int
    bad_s: int
    seen_s: int
    fired_s: int | None = None
    resolved_s: int | None = None
    reason: str = ""
    value: float | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired once, without its evidence, and when (unix s) it became as severe as it says.

    ``escalated_s`` is ``None`` where it was so from the start; before, it was a warning.
    """

    alert: Alert
    escalated_s: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A step in the life of an alert. ``cleared`` ends one that was only pending, which is then forgotten."""

    alert_id: str
    to: Step
    at_s: int
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where notifications go. ``options`` may be shown; ``sealed`` holds the secrets, encrypted.

    ``secrets_set`` names those that are set. Alerts that share the values of ``group_by`` go in one notification:
    the first waits ``group_wait_s`` for others, changes wait ``group_interval_s``, and what goes on firing is said
    again after ``repeat_interval_s``. ``managed_by`` is as with rules.
    """

    id: str
    project_id: str
    name: str
    type: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sealed: bytes = b""
    secrets_set: tuple[str, ...] = ()
    target: str = ""
    group_by: tuple[str, ...] = ("alertname",)
    group_wait_s: int = 30
    group_interval_s: int = 300
    repeat_interval_s: int = 14_400
    send_resolved: bool = True
    enabled: bool = True
    managed_by: str = ""
    created_ns: int = 0
    updated_ns: int = 0


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label: ``=`` or ``!=`` a text, ``=~`` or ``!~`` a pattern for the whole of it.

    In a pattern ``*`` stands for any text and ``?`` for one character. A label that is not there is empty.
    """

    label: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that all matchers fit are not told anyone from ``starts_ns`` until ``ends_ns``."""

    id: str
    project_id: str
    matchers: tuple[Matcher, ...]
    starts_ns: int
    ends_ns: int
    note: str = ""
    created_by: str = ""
    created_ns: int = 0


@dataclass(frozen=True, slots=True)
class Inhibition:
    """A firing alert that ``source`` fits holds back those that ``target`` fits, where the ``equal`` labels agree.

    ``equal`` of ``("*",)`` stands for all labels but ``alertname``, ``severity`` and ``type`` (the metric is one of
    them), and for the filter of their rules: what differs in any of these is about something else.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ("*",)


def version_of(inhibitions: Sequence[Inhibition]) -> str:
    """Return what tells one list of inhibitions from another: 16 hex digits."""
    return sha256(repr([(each.source, each.target, each.equal) for each in inhibitions]).encode()).hexdigest()[:16]


def all_labels(alert: Alert) -> dict[str, str]:
    """Return the labels that matchers, groups and receivers see; what a rule calls the same loses to ours."""
    return {
        **alert.labels,
        "alertname": alert.rule_name,
        "severity": alert.severity,
        "project": alert.project_id,
        "type": alert.rule_type,
        **({"metric": alert.metric} if alert.metric else {}),
    }


def group_key(channel: Channel, alert: Alert) -> dict[str, str]:
    """Return the labels that an alert's group in a channel goes by."""
    labels = all_labels(alert)
    return {name: labels.get(name, "") for name in channel.group_by}


def due_when_touched(due_ns: int, notified_ns: int | None, interval_s: int, at_ns: int) -> int:
    """Return when to look at a group in which something changed at ``at_ns``.

    A group that has not spoken yet keeps its wait; another looks at once, or an interval after it spoke.
    """
    if notified_ns is None:
        return due_ns
    return min(due_ns, max(at_ns, min(notified_ns, at_ns) + interval_s * 1_000_000_000))


#: A critical alert makes warnings about the same thing superfluous.
DEFAULT_INHIBITIONS = (
    Inhibition((Matcher("severity", "=", "critical"),), (Matcher("severity", "=", "warning"),), ("*",)),
)


@dataclass(frozen=True, slots=True)
class Member:
    """An alert in a group of a channel: what the channel was told of it last (empty: nothing yet)."""

    alert: Alert
    told: Literal["", "firing", "resolved"] = ""
    told_severity: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts that one channel is told together.

    ``due_ns`` is when to look at it next. ``version`` changes with every touch, so that a look at what has changed
    meanwhile is not written.
    """

    id: str
    project_id: str
    channel_id: str
    key: Mapping[str, str]
    due_ns: int
    version: int = 0
    notified_ns: int | None = None
    members: Sequence[Member] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """A message in the outbox. ``id`` stays the same over all attempts, so that receivers can tell repetitions.

    ``attempts`` counts the sendings so far, ``tried_ns`` is when the last one was; ``next_try_ns`` is when the next
    one is due.
    """

    id: str
    project_id: str
    channel_id: str
    group_id: str
    payload: Mapping[str, Any]
    created_ns: int
    state: DeliveryState = "waiting"
    attempts: int = 0
    tried_ns: int | None = None
    next_try_ns: int = 0
    ended_ns: int | None = None
    error: str = ""
