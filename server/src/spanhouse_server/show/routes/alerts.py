"""Alerts, silences and inhibitions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from spanhouse_server.clock import NS_PER_S, now_ns, rfc3339
from spanhouse_server.derive.alerts.desk import public_url_of
from spanhouse_server.derive.alerts.message import alert_item
from spanhouse_server.derive.alerts.muting import Muting, checked_matchers, checked_silence
from spanhouse_server.errors import BadQuery
from spanhouse_server.model.alerts import Alert, AlertQuery, Inhibition, Matcher, Silence, version_of
from spanhouse_server.query.page import bad_cursor, decode_cursor, encode_cursor
from spanhouse_server.query.times import parse_time
from spanhouse_server.show.auth import Admin, ProjectId
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.params import Cursor, Limit
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.alerts import (
    AlertDetail,
    AlertList,
    InhibitionBody,
    InhibitionList,
    InhibitionsInput,
    MatcherBody,
    SilenceInput,
    SilenceItem,
    SilenceList,
)
from spanhouse_server.show.schemas.common import ErrorReply

router = APIRouter(tags=["alerts"])
STATES = ("pending", "firing", "resolved")
#: Ended silences are listed for so long.
SHOWN_NS = 7 * 86_400 * NS_PER_S

ItemId = Annotated[str, Path(max_length=100)]


@router.get("/alerts", operation_id="listAlerts", response_model=AlertList)
def get_alerts(
    context: Context,
    project_id: ProjectId,
    state: Annotated[
        str, Query(max_length=100, description="pending, firing, resolved, with commas; empty: all.")
    ] = "",
    rule: Annotated[str, Query(max_length=100, description="Id of a rule.")] = "",
    severity: Annotated[str, Query(pattern="^(|warning|critical)$")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> JsonReply:
    """List alerts, those that began last first."""
    states = [each.strip() for each in state.split(",") if each.strip()]
    if unknown := [each for each in states if each not in STATES]:
        raise BadQuery(f"there is no state {unknown[0]!r}", f"use some of {', '.join(STATES)}")
    query = AlertQuery(tuple(states), rule, severity, limit + 1, _after(cursor))  # type: ignore[arg-type]
    found = context.records.alerts.alerts(project_id, query)
    page = found[:limit]
    items = _items(context, project_id, page)
    more = len(found) > limit
    return JsonReply(
        {"items": items, "next_cursor": encode_cursor([str(page[-1].active_s), page[-1].id]) if more else None}
    )


@router.get("/alerts/silences", operation_id="listSilences", response_model=SilenceList)
def get_silences(context: Context, project_id: ProjectId) -> JsonReply:
    """List silences, with those that ended in the last week."""
    at_ns = now_ns()
    found = context.records.alerts.silences(project_id, at_ns - SHOWN_NS)
    return JsonReply({"items": [_silence(each, at_ns) for each in found]})


@router.post(
    "/alerts/silences", operation_id="createSilence", response_model=SilenceItem, status_code=201, dependencies=[Admin]
)
def post_silence(context: Context, project_id: ProjectId, body: SilenceInput) -> JsonReply:
    """Silence alerts for a while. They are still judged and listed; nobody is told."""
    at_ns = now_ns()
    silence = checked_silence(
        Silence(
            id="",
            project_id=project_id,
            matchers=_matchers(body.matchers),
            starts_ns=parse_time(body.starts_at, at_ns, "starts_at") if body.starts_at else at_ns,
            ends_ns=parse_time(body.ends_at, at_ns, "ends_at"),
            note=body.note,
            created_by=body.created_by,
        )
    )
    return JsonReply(_silence(context.records.alerts.create_silence(silence), at_ns), 201)


@router.delete(
    "/alerts/silences/{silence_id}", operation_id="endSilence", response_model=SilenceItem, dependencies=[Admin]
)
def delete_silence(context: Context, project_id: ProjectId, silence_id: ItemId) -> JsonReply:
    """End a silence now and return it."""
    at_ns = now_ns()
    return JsonReply(_silence(context.records.alerts.end_silence(project_id, silence_id, at_ns), at_ns))


@router.get("/alerts/inhibitions", operation_id="listInhibitions", response_model=InhibitionList)
def get_inhibitions(context: Context, project_id: ProjectId) -> JsonReply:
    """List what holds back what: by default a critical alert holds back warnings about the same."""
    found = context.records.alerts.inhibitions(project_id)
    return JsonReply({"items": [_inhibition(each) for each in found], "version": version_of(found)})


@router.put(
    "/alerts/inhibitions",
    operation_id="setInhibitions",
    response_model=InhibitionList,
    dependencies=[Admin],
    responses={409: {"model": ErrorReply, "description": "They are not of the version that was named."}},
)
def put_inhibitions(context: Context, project_id: ProjectId, body: InhibitionsInput) -> JsonReply:
    """Set the inhibitions of the project; an empty list turns them off.

    With the `version` that the list was made from, a change by somebody else in between is not overwritten.
    """
    given = [_read_inhibition(each) for each in body.items]
    context.records.alerts.put_inhibitions(project_id, given, body.version)
    return get_inhibitions(context, project_id)


@router.get("/alerts/{alert_id}", operation_id="getAlert", response_model=AlertDetail)
def get_alert(context: Context, project_id: ProjectId, alert_id: ItemId) -> JsonReply:
    """Give an alert with its evidence and history."""
    alert, history = context.records.alerts.alert(project_id, alert_id)
    item = _items(context, project_id, [alert])[0]
    steps = [
        {"step": step.to, "at": rfc3339(step.at_s * NS_PER_S), "value": step.value, "reason": step.reason}
        for step in history
    ]
    return JsonReply(item | {"evidence": dict(alert.evidence), "history": steps})


def _items(context: ShowContext, project_id: str, alerts: list[Alert]) -> list[dict[str, Any]]:
    """Return alerts as shown, those that are active with what mutes them."""
    records, at_ns = context.records.alerts, now_ns()
    active = [alert for alert in alerts if alert.state != "resolved"]
    muting = None
    if active:
        firing = [each for some in records.active_alerts().values() for each in some if each.project_id == project_id]
        silences, inhibitions = records.silences(project_id, at_ns), records.inhibitions(project_id)
        muting = Muting(silences, inhibitions, firing, at_ns, records.rules(project_id))
    items = []
    for alert in alerts:
        item = alert_item(alert, public_url_of(context.settings))
        del item["evidence"]
        why = muting.why(alert) if muting and alert.state != "resolved" else None
        item["muted"] = {"by": why.by, "id": why.id} if why else None
        items.append(item)
    return items


def _after(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    active_s, alert_id = decode_cursor(cursor, 2)
    if not active_s.isascii() or not active_s.isdigit() or len(active_s) > 12:
        raise bad_cursor()
    return int(active_s), alert_id


def _matchers(given: list[MatcherBody]) -> tuple[Matcher, ...]:
    return tuple(Matcher(each.label, each.operator, each.value) for each in given)


def _read_inhibition(given: InhibitionBody) -> Inhibition:
    return Inhibition(
        checked_matchers(_matchers(given.source), "source"),
        checked_matchers(_matchers(given.target), "target"),
        tuple(each[:100] for each in given.equal),
    )


def _shown(matchers: tuple[Matcher, ...]) -> list[dict[str, str]]:
    return [{"label": each.label, "operator": each.operator, "value": each.value} for each in matchers]


def _inhibition(each: Inhibition) -> dict[str, Any]:
    return {"source": _shown(each.source), "target": _shown(each.target), "equal": list(each.equal)}


def _silence(silence: Silence, at_ns: int) -> dict[str, Any]:
    state = "ended" if silence.ends_ns <= at_ns else "waiting" if silence.starts_ns > at_ns else "active"
    return {
        "id": silence.id,
        "matchers": _shown(silence.matchers),
        "starts_at": rfc3339(silence.starts_ns),
        "ends_at": rfc3339(silence.ends_ns),
        "state": state,
        "note": silence.note,
        "created_by": silence.created_by,
        "created_at": rfc3339(silence.created_ns),
    }
