"""Groups of alerts and the outbox of notifications in the records store."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.orm import Session

from spanhouse_server.model.alerts import DeliveryCounts, Group, Member, Notification
from spanhouse_server.store.records.alert_state import alert_of
from spanhouse_server.store.records.alert_tables import AlertRecord, GroupRecord, MemberRecord, NotificationRecord
from spanhouse_server.store.records.engine import plain

#: Messages that wait for one channel; beyond, the oldest are given up. A dead receiver fills no disk.
MAX_WAITING = 1000


def groups_due(session: Session, channel_ids: Sequence[str], at_ns: int, limit: int, everything: bool) -> list[Group]:
    """Return the groups of some channels that are due, the longest due first, with their members."""
    asked = select(GroupRecord).where(GroupRecord.channel_id.in_(channel_ids)).limit(limit)
    if everything:
        # Times that a clock wrote before it was set back lie furthest ahead.
        asked = asked.order_by(GroupRecord.due_ns.desc())
    else:
        asked = asked.where(GroupRecord.due_ns <= at_ns).order_by(GroupRecord.due_ns)
    return [
        Group(
            id=record.id,
            project_id=record.project_id,
            channel_id=record.channel_id,
            key=orjson.loads(record.labels),
            due_ns=record.due_ns,
            version=record.version,
            notified_ns=record.notified_ns,
            members=_members(session, record.id),
        )
        for record in session.scalars(asked).all()
    ]


def settle_group(
    session: Session,
    group: Group,
    members: Sequence[Member],
    due_ns: int | None,
    notified_ns: int | None,
    notification: Notification | None,
) -> bool:
    """Write the outcome of a look; return ``False``, having written nothing, when the group was touched since."""
    changed = session.execute(
        update(GroupRecord)
        .where(GroupRecord.id == group.id, GroupRecord.version == group.version)
        .values(version=group.version + 1, due_ns=due_ns or 0, notified_ns=notified_ns)
    )
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        return False
    before = {member.alert.id: member for member in group.members}
    for member in members:
        known = before.pop(member.alert.id)
        if (known.told, known.told_severity) != (member.told, member.told_severity):
            session.execute(
                update(MemberRecord)
                .where(MemberRecord.group_id == group.id, MemberRecord.alert_id == member.alert.id)
                .values(told=member.told, told_severity=member.told_severity)
            )
    for alert_id in before:
        session.execute(
            delete(MemberRecord).where(MemberRecord.group_id == group.id, MemberRecord.alert_id == alert_id)
        )
    if due_ns is None:
        session.execute(delete(MemberRecord).where(MemberRecord.group_id == group.id))
        session.execute(delete(GroupRecord).where(GroupRecord.id == group.id))
    if notification is not None:
        _add(session, notification)
    return True


def channels_waiting(session: Session, at_ns: int, everything: bool) -> list[str]:
    """Return the channels with messages to send."""
    asked = select(NotificationRecord.channel_id).where(NotificationRecord.state == "waiting").distinct()
    if not everything:
        asked = asked.where(NotificationRecord.next_try_ns <= at_ns)
    return list(session.scalars(asked))


def notifications_due(
    session: Session, channel_id: str, at_ns: int, limit: int, everything: bool
) -> list[Notification]:
    """Return a channel's messages to send: of each group only its oldest waiting one, so that they arrive in order."""
    waiting = and_(NotificationRecord.state == "waiting", NotificationRecord.channel_id == channel_id)
    oldest = (
        select(NotificationRecord.group_id, func.min(NotificationRecord.created_ns).label("first_ns"))
        .where(waiting)
        .group_by(NotificationRecord.group_id)
        .subquery()
    )
    asked = (
        select(NotificationRecord)
        .join(
            oldest,
            and_(
                oldest.c.group_id == NotificationRecord.group_id,
                oldest.c.first_ns == NotificationRecord.created_ns,
            ),
        )
        .where(waiting)
        .order_by(NotificationRecord.created_ns, NotificationRecord.id)
        .limit(limit)
    )
    if not everything:
        asked = asked.where(NotificationRecord.next_try_ns <= at_ns)
    return [_notification(record) for record in session.scalars(asked)]


def write_attempt(session: Session, tried: Notification) -> bool:
    """Write what became of an attempt; return ``False`` when it was written by another process."""
    changed = session.execute(
        update(NotificationRecord)
        .where(
            NotificationRecord.id == tried.id,
            NotificationRecord.state == "waiting",
            NotificationRecord.attempts == tried.attempts - 1,
        )
        .values(
            state=tried.state,
            attempts=tried.attempts,
            tried_ns=tried.tried_ns,
            next_try_ns=tried.next_try_ns,
            ended_ns=tried.ended_ns,
            error=plain(tried.error)[:500],
        )
    )
    return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def newest_notifications(session: Session, project_id: str, channel_id: str, limit: int) -> list[Notification]:
    """Return a channel's newest messages."""
    asked = (
        select(NotificationRecord)
        .where(NotificationRecord.project_id == plain(project_id), NotificationRecord.channel_id == plain(channel_id))
        .order_by(NotificationRecord.created_ns.desc(), NotificationRecord.id)
        .limit(limit)
    )
    return [_notification(record) for record in session.scalars(asked)]


def delivery_counts(session: Session, project_id: str) -> dict[str, DeliveryCounts]:
    """Return what became of a project's messages, by channel id."""
    counted = session.execute(
        select(
            NotificationRecord.channel_id,
            NotificationRecord.state,
            func.count(),
            func.max(NotificationRecord.ended_ns),
        )
        .where(NotificationRecord.project_id == plain(project_id))
        .group_by(NotificationRecord.channel_id, NotificationRecord.state)
    )
    by_channel: dict[str, dict[str, tuple[int, int | None]]] = {}
    for channel_id, state, count, ended_ns in counted:
        by_channel.setdefault(channel_id, {})[state] = count, ended_ns
    return {channel_id: _counts(session, channel_id, states) for channel_id, states in by_channel.items()}


def count_waiting(session: Session) -> int:
    """Return how many messages wait to be sent."""
    asked = select(func.count()).where(NotificationRecord.state == "waiting")
    return session.scalar(asked) or 0


def prune_notifications(session: Session, before_ns: int) -> None:
    """Forget messages that ended before a moment."""
    session.execute(
        delete(NotificationRecord).where(NotificationRecord.state != "waiting", NotificationRecord.ended_ns < before_ns)
    )


def _counts(session: Session, channel_id: str, states: dict[str, tuple[int, int | None]]) -> DeliveryCounts:
    # What was given up without being tried failed when it was given up.
    failed_ns = func.coalesce(NotificationRecord.tried_ns, NotificationRecord.ended_ns, NotificationRecord.created_ns)
    failed = session.execute(
        select(NotificationRecord.error, failed_ns)
        .where(NotificationRecord.channel_id == channel_id, NotificationRecord.error != "")
        .order_by(failed_ns.desc())
        .limit(1)
    ).first()
    delivered, delivered_ns = states.get("delivered", (0, None))
    return DeliveryCounts(
        waiting=states.get("waiting", (0, None))[0],
        delivered=delivered,
        failed=states.get("failed", (0, None))[0],
        last_delivered_ns=delivered_ns,
        last_error=failed[0] if failed else "",
        last_error_ns=failed[1] if failed else None,
    )


def _members(session: Session, group_id: str) -> list[Member]:
    rows = session.execute(
        select(MemberRecord, AlertRecord)
        .join(AlertRecord, AlertRecord.id == MemberRecord.alert_id)
        .where(MemberRecord.group_id == group_id)
        .order_by(AlertRecord.active_s, AlertRecord.id)
    )
    return [Member(alert_of(alert), member.told, member.told_severity) for member, alert in rows]  # type: ignore[arg-type]


def _add(session: Session, notification: Notification) -> None:
    waiting = (
        select(NotificationRecord.id)
        .where(NotificationRecord.channel_id == notification.channel_id, NotificationRecord.state == "waiting")
        .order_by(NotificationRecord.created_ns.desc())
        .offset(MAX_WAITING - 1)
    )
    given_up = list(session.scalars(waiting))
    if given_up:
        session.execute(
            update(NotificationRecord)
            .where(NotificationRecord.id.in_(given_up))
            .values(
                state="failed",
                ended_ns=notification.created_ns,
                error=f"given up: more than {MAX_WAITING} messages waited for this channel",
            )
        )
    session.add(
        NotificationRecord(
            id=notification.id,
            project_id=notification.project_id,
            channel_id=notification.channel_id,
            group_id=notification.group_id,
            payload=plain(orjson.dumps(dict(notification.payload)).decode()),
            created_ns=notification.created_ns,
            state=notification.state,
            attempts=notification.attempts,
            tried_ns=notification.tried_ns,
            next_try_ns=notification.next_try_ns,
            ended_ns=notification.ended_ns,
            error=plain(notification.error),
        )
    )


def _notification(record: NotificationRecord) -> Notification:
    return Notification(
        id=record.id,
        project_id=record.project_id,
        channel_id=record.channel_id,
        group_id=record.group_id,
        payload=orjson.loads(record.payload),
        created_ns=record.created_ns,
        state=record.state,  # type: ignore[arg-type]
        attempts=record.attempts,
        tried_ns=record.tried_ns,
        next_try_ns=record.next_try_ns,
        ended_ns=record.ended_ns,
        error=record.error,
    )
