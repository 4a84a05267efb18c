"""Alerts in the records store: what evaluations write, with the groups that must hear of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import orjson
from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.errors import NotFound
from spanhouse_server.model.alerts import (
    Alert,
    AlertQuery,
    Channel,
    Fired,
    Rule,
    RuleProgress,
    Transition,
    due_when_touched,
    group_key,
)
from spanhouse_server.store.records.alert_config import list_channels
from spanhouse_server.store.records.alert_tables import (
    AlertRecord,
    GroupRecord,
    MemberRecord,
    RuleRecord,
    TransitionRecord,
)
from spanhouse_server.store.records.engine import plain

ACTIVE = ("pending", "firing")
#: Steps that the receivers must hear of.
_TOLD = ("firing", "escalated", "resolved")
#: Resolved alerts that a project keeps, the newest.
MAX_KEPT = 10_000
#: Steps that one alert keeps: the first ones and no more, should one escalate for ever.
MAX_TRANSITIONS = 200
_COPIED = (
    "id", "project_id", "rule_id", "rule_name", "rule_type", "rule_version", "metric", "fingerprint", "state", "severity", "active_s",
    "bad_s", "seen_s", "fired_s", "resolved_s", "reason", "value",
)  # fmt: skip


def page_of_alerts(session: Session, project_id: str, query: AlertQuery) -> list[Alert]:
    """Return a page of alerts, those that began last first."""
    asked = select(AlertRecord).where(AlertRecord.project_id == plain(project_id))
    if query.states:
        asked = asked.where(AlertRecord.state.in_(query.states))
    if query.rule_id:
        asked = asked.where(AlertRecord.rule_id == plain(query.rule_id))
    if query.severity:
        asked = asked.where(AlertRecord.severity == plain(query.severity))
    if query.after:
        active_s, alert_id = query.after
        older = and_(AlertRecord.active_s == active_s, AlertRecord.id < plain(alert_id))
        asked = asked.where(or_(AlertRecord.active_s < active_s, older))
    ordered = asked.order_by(AlertRecord.active_s.desc(), AlertRecord.id.desc()).limit(query.limit)
    return [alert_of(record) for record in session.scalars(ordered)]


def fired_between(session: Session, project_id: str, from_s: int, to_s: int, limit: int) -> list[Fired]:
    """Return alerts that were firing at some time in ``[from_s, to_s]``, those that fired last first.

    Their evidence, by far the largest part of them, is not read.
    """
    columns = [getattr(AlertRecord, name) for name in (*_COPIED, "labels")]
    escalated = (
        select(func.min(TransitionRecord.at_s))
        .where(TransitionRecord.alert_id == AlertRecord.id, TransitionRecord.step == "escalated")
        .scalar_subquery()
        .label("escalated_s")
    )
    asked = (
        select(*columns, escalated)
        .where(
            AlertRecord.project_id == plain(project_id),
            AlertRecord.fired_s <= to_s,
            or_(AlertRecord.resolved_s.is_(None), AlertRecord.resolved_s > from_s),
        )
        .order_by(AlertRecord.fired_s.desc(), AlertRecord.id)
        .limit(limit)
    )
    return [
        Fired(Alert(**{name: getattr(row, name) for name in _COPIED}, labels=orjson.loads(row.labels)), row.escalated_s)
        for row in session.execute(asked)
    ]


def read_alert(session: Session, project_id: str, alert_id: str) -> tuple[Alert, list[Transition]]:
    """Return an alert with its transitions. Raises ``NotFound``."""
    record = session.get(AlertRecord, plain(alert_id))
    if record is None or record.project_id != plain(project_id):
        raise NotFound(f"no alert {alert_id!r} in this project", "alerts are forgotten a while after they ended")
    steps = session.scalars(
        select(TransitionRecord).where(TransitionRecord.alert_id == record.id).order_by(TransitionRecord.number)
    )
    return alert_of(record), [
        Transition(step.alert_id, step.step, step.at_s, step.value, step.reason)  # type: ignore[arg-type]
        for step in steps
    ]


def active_alerts(session: Session) -> dict[str, list[Alert]]:
    """Return the pending and firing alerts of all projects by rule id."""
    found: dict[str, list[Alert]] = {}
    for record in session.scalars(select(AlertRecord).where(AlertRecord.state.in_(ACTIVE)).order_by(AlertRecord.id)):
        found.setdefault(record.rule_id, []).append(alert_of(record))
    return found


def count_alerts(session: Session) -> dict[str, int]:
    """Return how many alerts there are by state."""
    rows = session.execute(select(AlertRecord.state, func.count()).group_by(AlertRecord.state))
    return {str(state): int(count) for state, count in rows}


def commit_evaluation(
    session: Session,
    rule: Rule,
    before_s: int | None,
    progress: RuleProgress,
    alerts: Sequence[Alert],
    transitions: Sequence[Transition],
    at_ns: int,
) -> bool:
    """Write an evaluation; return ``False``, having written nothing, when the rule moved on meanwhile."""
    moved = RuleRecord.evaluated_s.is_(None) if before_s is None else RuleRecord.evaluated_s == before_s
    changed = session.execute(
        update(RuleRecord)
        .where(RuleRecord.id == rule.id, RuleRecord.updated_ns == rule.updated_ns, moved)
        .values(
            evaluated_s=progress.evaluated_s,
            observed=orjson.dumps(dict(progress.observed)).decode(),
            reason=plain(progress.reason),
            error="",
            error_since_ns=None,
            took_ms=progress.took_ms,
        )
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        return False
    write_alerts(session, alerts, transitions, rule.channels, at_ns)
    return True


def note_failure(session: Session, rule: Rule, error: str, at_ns: int) -> None:
    """Note why a rule could not be evaluated, and since when."""
    session.execute(
        update(RuleRecord)
        .where(RuleRecord.id == rule.id, RuleRecord.updated_ns == rule.updated_ns)
        .values(error=plain(error)[:1000], error_since_ns=func.coalesce(RuleRecord.error_since_ns, at_ns))
    )


def write_alerts(
    session: Session,
    alerts: Sequence[Alert],
    transitions: Sequence[Transition],
    channels: Sequence[str],
    at_ns: int,
) -> None:
    """Write alerts and their steps, and mark the groups that must hear of them, all or nothing.

    ``channels`` are the names of those that hear of what fires now; what goes on or ends is told where it was.
    """
    steps: dict[str, list[Transition]] = {}
    for transition in transitions:
        steps.setdefault(transition.alert_id, []).append(transition)
    listening: dict[str, list[Channel]] = {}
    for alert in alerts:
        own = steps.get(alert.id, [])
        if any(step.to == "cleared" for step in own):
            session.execute(delete(TransitionRecord).where(TransitionRecord.alert_id == alert.id))
            session.execute(delete(AlertRecord).where(AlertRecord.id == alert.id))
            continue
        if not _save(session, alert):
            continue
        _add_steps(session, alert, own)
        if not any(step.to in _TOLD for step in own):
            continue
        if any(step.to == "firing" for step in own):
            if alert.project_id not in listening:
                listening[alert.project_id] = list_channels(session, alert.project_id)
            _join_groups(session, alert, [c for c in listening[alert.project_id] if c.name in channels], at_ns)
        _touch_groups(session, alert, at_ns)


def prune_alerts(session: Session, before_s: int) -> int:
    """Forget resolved alerts that ended before a moment or beyond the newest of their project; return how many.

    An alert that a group still has to tell of is kept.
    """
    told_of = select(MemberRecord.alert_id)
    spent = AlertRecord.state == "resolved", AlertRecord.id.not_in(told_of)
    old = list(session.scalars(select(AlertRecord.id).where(*spent, AlertRecord.resolved_s < before_s).limit(5000)))
    for project_id in session.scalars(select(AlertRecord.project_id).distinct()):
        newest = select(AlertRecord.id).where(AlertRecord.project_id == project_id, *spent)
        newest = newest.order_by(AlertRecord.resolved_s.desc()).offset(MAX_KEPT).limit(5000)
        old.extend(session.scalars(newest))
    for first in range(0, len(old), 500):
        some = old[first : first + 500]
        session.execute(delete(TransitionRecord).where(TransitionRecord.alert_id.in_(some)))
        session.execute(delete(AlertRecord).where(AlertRecord.id.in_(some)))
    return len(set(old))


def alert_of(record: AlertRecord) -> Alert:
    """Return a kept alert."""
    values = {name: getattr(record, name) for name in _COPIED}
    return Alert(**values, labels=orjson.loads(record.labels), evidence=orjson.loads(record.evidence))


def _save(session: Session, alert: Alert) -> bool:
    """Write an alert; one that has ended stays as it is, whoever comes late."""
    record = session.get(AlertRecord, alert.id)
    if record is not None and record.state == "resolved":
        return False
    if record is None:
        record = AlertRecord(id=alert.id)
        session.add(record)
    for name in _COPIED:
        value = getattr(alert, name)
        setattr(record, name, plain(value) if isinstance(value, str) else value)
    record.labels = plain(orjson.dumps(dict(alert.labels)).decode())
    record.evidence = plain(orjson.dumps(dict(alert.evidence)).decode())
    session.flush()
    return True


def _add_steps(session: Session, alert: Alert, steps: Sequence[Transition]) -> None:
    if not steps:
        return
    last = session.scalar(select(func.max(TransitionRecord.number)).where(TransitionRecord.alert_id == alert.id))
    first = 0 if last is None else last + 1
    for number, step in enumerate(steps, first):
        if number < MAX_TRANSITIONS or step.to == "resolved":
            session.add(
                TransitionRecord(
                    alert_id=alert.id,
                    number=number,
                    step=step.to,
                    at_s=step.at_s,
                    value=step.value,
                    reason=plain(step.reason),
                )
            )


def _join_groups(session: Session, alert: Alert, channels: Sequence[Channel], at_ns: int) -> None:
    for channel in channels:
        key = group_key(channel, alert)
        text = plain(orjson.dumps(sorted(key.items())).decode())
        group_id = hashlib.sha256(f"{channel.id}\n{text}".encode()).hexdigest()[:32]
        if session.get(GroupRecord, group_id) is None:
            session.add(
                GroupRecord(
                    id=group_id,
                    project_id=alert.project_id,
                    channel_id=channel.id,
                    labels=plain(orjson.dumps(key).decode()),
                    due_ns=at_ns + channel.group_wait_s * NS_PER_S,
                    notified_ns=None,
                    version=0,
                )
            )
            session.flush()
        session.add(MemberRecord(group_id=group_id, alert_id=alert.id, told="", told_severity=""))
    session.flush()


def _touch_groups(session: Session, alert: Alert, at_ns: int) -> None:
    """Make the groups of an alert look at it: at once, or an interval after they last spoke."""
    intervals_s = {channel.id: channel.group_interval_s for channel in list_channels(session, alert.project_id)}
    found = select(GroupRecord).join(MemberRecord, MemberRecord.group_id == GroupRecord.id)
    for group in session.scalars(found.where(MemberRecord.alert_id == alert.id)):
        group.version += 1
        interval_s = intervals_s.get(group.channel_id, 0)
        group.due_ns = due_when_touched(group.due_ns, group.notified_ns, interval_s, at_ns)
    session.flush()
