"""Alert rules, channels and silences in the records store: what people configure."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from spanhouse_server.clock import now_ns
from spanhouse_server.errors import BadRequest, Conflict, NotFound
from spanhouse_server.model.alerts import (
    DEFAULT_INHIBITIONS,
    Channel,
    Inhibition,
    Matcher,
    Rule,
    RuleProgress,
    Silence,
    version_of,
)
from spanhouse_server.store.records.alert_tables import ChannelRecord, RuleRecord, SilenceRecord
from spanhouse_server.store.records.engine import plain
from spanhouse_server.store.records.tables import ProjectRecord, SettingRecord

MAX_RULES = 500
MAX_CHANNELS = 100
MAX_SILENCES = 500

_RULE_BODY = (
    "type", "metric", "q", "group_by", "window_s", "every_s", "for_s", "keep_firing_s", "severity", "written",
    "no_data", "channels", "labels", "note", "enabled", "managed_by",
)  # fmt: skip
#: A change of these makes it another measure: alerts about the old one end.
_MEASURED = ("type", "metric", "q", "group_by", "labels")
_CHANNEL_BODY = (
    "type", "options", "secrets_set", "target", "group_by", "group_wait_s", "group_interval_s", "repeat_interval_s",
    "send_resolved", "enabled", "managed_by",
)  # fmt: skip
_TUPLES = ("group_by", "channels", "secrets_set")

_Record = TypeVar("_Record", RuleRecord, ChannelRecord, SilenceRecord)
_NamedRecord = TypeVar("_NamedRecord", RuleRecord, ChannelRecord)


def list_rules(session: Session, project_id: str | None) -> list[Rule]:
    """Return the rules of a project, or of all, by name."""
    return [rule_of(record) for record in _named(session, RuleRecord, project_id)]


def read_rule(session: Session, project_id: str, rule_id: str) -> Rule:
    """Return one rule. Raises ``NotFound``."""
    return rule_of(_owned(session, RuleRecord, project_id, rule_id, "rule"))


def add_rule(session: Session, rule: Rule) -> Rule:
    """Add a rule and return it with its id and times. Raises ``BadRequest``, ``NotFound``, ``Conflict``."""
    rule = replace(rule, name=plain(rule.name), project_id=plain(rule.project_id))
    _check_room(session, RuleRecord, rule.project_id, MAX_RULES, "rules")
    _check_name(session, RuleRecord, rule.project_id, rule.name, "", "rule")
    _check_channels(session, rule)
    at_ns = now_ns()
    kept = replace(rule, id=secrets.token_hex(8), created_ns=at_ns, updated_ns=at_ns, changed_ns=at_ns)
    session.add(
        RuleRecord(
            id=kept.id,
            project_id=kept.project_id,
            name=kept.name,
            body=_body(kept, _RULE_BODY),
            created_ns=at_ns,
            updated_ns=at_ns,
            changed_ns=at_ns,
            evaluated_s=None,
            observed="{}",
            reason="",
            error="",
            error_since_ns=None,
            took_ms=0.0,
        )
    )
    return kept


def change_rule(session: Session, rule: Rule) -> Rule:
    """Replace a rule and return it as kept. Raises ``NotFound``, ``Conflict``, ``BadRequest``."""
    rule = replace(rule, name=plain(rule.name))
    record = _owned(session, RuleRecord, rule.project_id, rule.id, "rule")
    _check_name(session, RuleRecord, rule.project_id, rule.name, record.id, "rule")
    _check_channels(session, rule)
    before = rule_of(record)
    # Also where the clock was set back: a change is always later than what it changes.
    at_ns = max(now_ns(), before.updated_ns + 1)
    same = all(getattr(before, name) == getattr(rule, name) for name in _MEASURED)
    kept = replace(
        rule,
        created_ns=before.created_ns,
        updated_ns=at_ns,
        changed_ns=before.changed_ns if same else at_ns,
    )
    record.name, record.body = kept.name, _body(kept, _RULE_BODY)
    record.updated_ns, record.changed_ns = kept.updated_ns, kept.changed_ns
    record.error, record.error_since_ns = "", None
    return kept


def remove_rule(session: Session, project_id: str, rule_id: str) -> Rule:
    """Remove a rule and return it. Raises ``NotFound``."""
    record = _owned(session, RuleRecord, project_id, rule_id, "rule")
    removed = rule_of(record)
    session.delete(record)
    return removed


def read_progress(session: Session, project_id: str | None) -> dict[str, RuleProgress]:
    """Return how far each rule was evaluated, by id."""
    return {
        record.id: RuleProgress(
            evaluated_s=record.evaluated_s,
            observed=orjson.loads(record.observed),
            reason=record.reason,
            error=record.error,
            error_since_ns=record.error_since_ns,
            took_ms=record.took_ms,
        )
        for record in _named(session, RuleRecord, project_id)
    }


def rule_of(record: RuleRecord) -> Rule:
    """Return a kept rule, its parameters untyped."""
    return Rule(
        id=record.id,
        project_id=record.project_id,
        name=record.name,
        created_ns=record.created_ns,
        updated_ns=record.updated_ns,
        changed_ns=record.changed_ns,
        **_fields(record.body),
    )


def list_channels(session: Session, project_id: str | None) -> list[Channel]:
    """Return the channels of a project, or of all, by name."""
    return [_channel(record) for record in _named(session, ChannelRecord, project_id)]


def read_channel(session: Session, project_id: str, channel_id: str) -> Channel:
    """Return one channel. Raises ``NotFound``."""
    return _channel(_owned(session, ChannelRecord, project_id, channel_id, "channel"))


def add_channel(session: Session, channel: Channel) -> Channel:
    """Add a channel under its id and return it. Raises ``BadRequest``, ``NotFound``, ``Conflict``."""
    channel = replace(channel, name=plain(channel.name), project_id=plain(channel.project_id))
    _check_room(session, ChannelRecord, channel.project_id, MAX_CHANNELS, "channels")
    _check_name(session, ChannelRecord, channel.project_id, channel.name, "", "channel")
    kept = replace(channel, created_ns=now_ns(), updated_ns=now_ns())
    session.add(
        ChannelRecord(
            id=kept.id,
            project_id=kept.project_id,
            name=kept.name,
            body=_body(kept, _CHANNEL_BODY),
            sealed=kept.sealed,
            created_ns=kept.created_ns,
            updated_ns=kept.updated_ns,
        )
    )
    return kept


def change_channel(session: Session, channel: Channel) -> Channel:
    """Replace a channel and return it. Its name may change only while no rule uses it. Raises as ``add_channel``."""
    channel = replace(channel, name=plain(channel.name))
    record = _owned(session, ChannelRecord, channel.project_id, channel.id, "channel")
    if channel.name != record.name:
        _check_name(session, ChannelRecord, channel.project_id, channel.name, record.id, "channel")
        _check_unused(session, _channel(record))
    kept = replace(channel, created_ns=record.created_ns, updated_ns=now_ns())
    record.name, record.body, record.sealed = kept.name, _body(kept, _CHANNEL_BODY), kept.sealed
    record.updated_ns = kept.updated_ns
    return kept


def remove_channel(session: Session, project_id: str, channel_id: str) -> Channel:
    """Remove a channel and return it. Raises ``NotFound``, ``Conflict`` while a rule uses it."""
    record = _owned(session, ChannelRecord, project_id, channel_id, "channel")
    removed = _channel(record)
    _check_unused(session, removed)
    session.delete(record)
    return removed


def list_silences(session: Session, project_id: str, ended_after_ns: int) -> list[Silence]:
    """Return the silences of a project that end after a moment, the newest first."""
    query = (
        select(SilenceRecord)
        .where(SilenceRecord.project_id == plain(project_id), SilenceRecord.ends_ns > ended_after_ns)
        .order_by(SilenceRecord.created_ns.desc(), SilenceRecord.id)
    )
    return [_silence(record) for record in session.scalars(query)]


def add_silence(session: Session, silence: Silence) -> Silence:
    """Add a silence and return it with its id. Raises ``BadRequest``, ``NotFound``."""
    at_ns = now_ns()
    # Those that ended long ago need not be counted: they are forgotten.
    session.execute(
        delete(SilenceRecord).where(
            SilenceRecord.project_id == silence.project_id, SilenceRecord.ends_ns < at_ns - 30 * 86_400 * 10**9
        )
    )
    _check_room(session, SilenceRecord, silence.project_id, MAX_SILENCES, "silences")
    kept = replace(silence, id=secrets.token_hex(8), created_ns=at_ns)
    session.add(
        SilenceRecord(
            id=kept.id,
            project_id=kept.project_id,
            matchers=_matchers_text(kept.matchers),
            starts_ns=kept.starts_ns,
            ends_ns=kept.ends_ns,
            note=plain(kept.note),
            created_by=plain(kept.created_by),
            created_ns=kept.created_ns,
        )
    )
    return kept


def end_silence(session: Session, project_id: str, silence_id: str, at_ns: int) -> Silence:
    """End a silence at a moment, unless it ended before; return it. Raises ``NotFound``."""
    record = _owned(session, SilenceRecord, project_id, silence_id, "silence")
    record.ends_ns = min(record.ends_ns, at_ns)
    record.starts_ns = min(record.starts_ns, record.ends_ns)
    return _silence(record)


def read_inhibitions(session: Session, project_id: str) -> tuple[Inhibition, ...]:
    """Return the inhibitions of a project, the default ones where it set none."""
    record = session.get(SettingRecord, _inhibitions_key(project_id))
    if record is None:
        return DEFAULT_INHIBITIONS
    return tuple(
        Inhibition(_matchers(each["source"]), _matchers(each["target"]), tuple(each["equal"]))
        for each in orjson.loads(record.value)
    )


def write_inhibitions(
    session: Session, project_id: str, inhibitions: Sequence[Inhibition], known: str | None = None
) -> None:
    """Set the inhibitions of a project. Raises ``Conflict`` when those in force are not of the ``known`` version."""
    # Of two that write at once, the second waits here and then sees what the first wrote.
    session.get(ProjectRecord, plain(project_id), with_for_update=True)
    if known is not None and version_of(read_inhibitions(session, project_id)) != known:
        raise Conflict("the inhibitions were changed meanwhile", "load them again and repeat the change")
    value = [
        {
            "source": [[m.label, m.operator, m.value] for m in each.source],
            "target": [[m.label, m.operator, m.value] for m in each.target],
            "equal": list(each.equal),
        }
        for each in inhibitions
    ]
    session.merge(SettingRecord(key=_inhibitions_key(project_id), value=plain(orjson.dumps(value).decode())))


def _inhibitions_key(project_id: str) -> str:
    return f"alerts.inhibitions.{plain(project_id)}"


def _named(session: Session, table: type[_NamedRecord], project_id: str | None) -> Sequence[_NamedRecord]:
    """Return the records of a project, or of all, by name."""
    query = select(table).order_by(table.project_id, table.name)
    if project_id is not None:
        query = query.where(table.project_id == plain(project_id))
    return session.scalars(query).all()


def _owned(session: Session, table: type[_Record], project_id: str, record_id: str, what: str) -> _Record:
    record = session.get(table, plain(record_id))
    if record is None or record.project_id != plain(project_id):
        raise NotFound(f"no {what} {record_id!r} in this project")
    return record


def _check_room(session: Session, table: type[_Record], project_id: str, limit: int, what: str) -> None:
    if session.get(ProjectRecord, project_id) is None:
        raise NotFound(f"no project {project_id!r}", "create the project first")
    known = session.scalar(select(func.count()).select_from(table).where(table.project_id == project_id)) or 0
    if known >= limit:
        raise BadRequest(f"a project has at most {limit} {what}", "delete some")


def _check_name(
    session: Session,
    table: type[RuleRecord] | type[ChannelRecord],
    project_id: str,
    name: str,
    own_id: str,
    what: str,
) -> None:
    found = session.scalar(select(table.id).where(table.project_id == project_id, table.name == name))
    if found is not None and found != own_id:
        raise Conflict(f"the {what} {name!r} exists already", "choose another name, or change that one")


def _check_channels(session: Session, rule: Rule) -> None:
    known = set(session.scalars(select(ChannelRecord.name).where(ChannelRecord.project_id == rule.project_id)))
    for name in rule.channels:
        if name not in known:
            have = ", ".join(sorted(known)) or "none yet"
            raise BadRequest(f"channels: there is no channel {name[:60]!r}", f"this project has {have}"[:300])


def _check_unused(session: Session, channel: Channel) -> None:
    users = [rule.name for rule in list_rules(session, channel.project_id) if channel.name in rule.channels]
    if users:
        raise Conflict(
            f"the channel {channel.name!r} is used by {len(users)} rules, among them {users[0]!r}",
            "take it out of the rules first",
        )


def _body(kept: Rule | Channel, names: Sequence[str]) -> str:
    return orjson.dumps({name: getattr(kept, name) for name in names}).decode()


def _fields(body: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(body)
    return {name: tuple(value) if name in _TUPLES else value for name, value in found.items()}


def _channel(record: ChannelRecord) -> Channel:
    return Channel(
        id=record.id,
        project_id=record.project_id,
        name=record.name,
        sealed=record.sealed,
        created_ns=record.created_ns,
        updated_ns=record.updated_ns,
        **_fields(record.body),
    )


def _silence(record: SilenceRecord) -> Silence:
    return Silence(
        id=record.id,
        project_id=record.project_id,
        matchers=_matchers(orjson.loads(record.matchers)),
        starts_ns=record.starts_ns,
        ends_ns=record.ends_ns,
        note=record.note,
        created_by=record.created_by,
        created_ns=record.created_ns,
    )


def _matchers(given: Any) -> tuple[Matcher, ...]:
    return tuple(Matcher(*each) for each in given)


def _matchers_text(matchers: Sequence[Matcher]) -> str:
    return plain(orjson.dumps([[m.label, m.operator, m.value] for m in matchers]).decode())
