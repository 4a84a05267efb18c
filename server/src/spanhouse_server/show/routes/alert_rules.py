"""Alert rules, and trying them on the past."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from spanhouse_server.clock import NS_PER_S, now_ns, rfc3339
from spanhouse_server.derive.alerts.backtest import BackTest
from spanhouse_server.derive.alerts.channels import CHANNELS
from spanhouse_server.derive.alerts.desk import AlertDesk, public_url_of
from spanhouse_server.derive.alerts.kinds import KINDS
from spanhouse_server.derive.alerts.muting import Muted
from spanhouse_server.model.alerts import Alert, Rule, RuleProgress
from spanhouse_server.query.times import parse_time
from spanhouse_server.show.auth import Admin, ProjectId
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.routes.alerts import ItemId
from spanhouse_server.show.schemas.alert_rules import (
    BackTestInput,
    BackTestReply,
    RuleInput,
    RuleItem,
    RuleList,
    TypesReply,
)
from spanhouse_server.show.schemas.common import ErrorReply

router = APIRouter(tags=["alerts"])
TAKEN: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorReply, "description": "The name is taken, or it is still used."}
}
MAX_TIMES = 1000


def desk_of(context: ShowContext) -> AlertDesk:
    """Return what checks and tries rules and channels."""
    settings = context.settings
    return AlertDesk(
        context.store,
        context.records.alerts,
        context.outward,
        settle_s=settings.alert_settle_s,
        public_url=public_url_of(settings),
    )


@router.get("/alerts/types", operation_id="listAlertTypes", response_model=TypesReply)
def get_types() -> JsonReply:
    """List the kinds of rules and the types of channels."""
    rules = [{"name": name, "help": _help(kind), "secrets": []} for name, kind in KINDS.items()]
    channels = [{"name": name, "help": _help(kind), "secrets": list(kind.secrets)} for name, kind in CHANNELS.items()]
    return JsonReply({"rules": rules, "channels": channels})


@router.get("/alerts/rules", operation_id="listAlertRules", response_model=RuleList)
def get_rules(context: Context, project_id: ProjectId) -> JsonReply:
    """List the rules with how they stand."""
    records = context.records.alerts
    progress, active = records.progress(project_id), records.active_alerts()
    items = [
        rule_item(rule, progress.get(rule.id, RuleProgress()), active.get(rule.id, ()))
        for rule in records.rules(project_id)
    ]
    return JsonReply({"items": items})


@router.post(
    "/alerts/rules",
    operation_id="createAlertRule",
    response_model=RuleItem,
    status_code=201,
    dependencies=[Admin],
    responses=TAKEN,
)
def post_rule(context: Context, project_id: ProjectId, body: RuleInput) -> JsonReply:
    """Add a rule. It is judged once first, so that what cannot be measured is refused."""
    rule = desk_of(context).checked_rule(rule_from(project_id, "", body))
    return JsonReply(rule_item(context.records.alerts.create_rule(rule), RuleProgress(), ()), 201)


@router.post("/alerts/rules/backtest", operation_id="backtestAlertRule", response_model=BackTestReply)
def post_backtest(context: Context, project_id: ProjectId, body: BackTestInput) -> JsonReply:
    """Run a rule over the past without keeping it: when it would have fired, and how many messages that made."""
    at_ns = now_ns()
    from_ns, to_ns = parse_time(body.from_, at_ns, "from"), parse_time(body.to, at_ns, "to")
    return JsonReply(back_test_reply(desk_of(context).back_test(rule_from(project_id, "", body.rule), from_ns, to_ns)))


@router.get("/alerts/rules/{rule_id}", operation_id="getAlertRule", response_model=RuleItem)
def get_rule(context: Context, project_id: ProjectId, rule_id: ItemId) -> JsonReply:
    """Give a rule with how it stands."""
    return JsonReply(_standing(context, context.records.alerts.rule(project_id, rule_id)))


@router.put(
    "/alerts/rules/{rule_id}",
    operation_id="updateAlertRule",
    response_model=RuleItem,
    dependencies=[Admin],
    responses=TAKEN,
)
def put_rule(context: Context, project_id: ProjectId, rule_id: ItemId, body: RuleInput) -> JsonReply:
    """Replace a rule. When it measures something else now, its alerts end and it begins anew."""
    context.records.alerts.rule(project_id, rule_id)
    rule = desk_of(context).checked_rule(rule_from(project_id, rule_id, body))
    return JsonReply(_standing(context, context.records.alerts.update_rule(rule)))


@router.delete("/alerts/rules/{rule_id}", operation_id="deleteAlertRule", response_model=RuleItem, dependencies=[Admin])
def delete_rule(context: Context, project_id: ProjectId, rule_id: ItemId) -> JsonReply:
    """Delete a rule and return it. Its alerts end; who heard of them hears of that."""
    return JsonReply(rule_item(context.records.alerts.delete_rule(project_id, rule_id), RuleProgress(), ()))


def _standing(context: ShowContext, rule: Rule) -> dict[str, Any]:
    records = context.records.alerts
    progress = records.progress(rule.project_id).get(rule.id, RuleProgress())
    return rule_item(rule, progress, records.active_alerts().get(rule.id, ()))


def rule_from(project_id: str, rule_id: str, body: RuleInput) -> Rule:
    """Return a rule as given; it is not checked yet."""
    given = body.model_dump(exclude={"params"})
    given |= {"group_by": tuple(body.group_by), "channels": tuple(body.channels), "written": body.params}
    return Rule(id=rule_id, project_id=project_id, **given)


def rule_item(rule: Rule, progress: RuleProgress, active: Sequence[Alert]) -> dict[str, Any]:
    """Return a rule as shown, with how it stands."""
    firing = sum(alert.state == "firing" for alert in active)
    return {
        "id": rule.id,
        "name": rule.name,
        "type": rule.type,
        "enabled": rule.enabled,
        "metric": rule.metric,
        "q": rule.q,
        "group_by": list(rule.group_by),
        "window_s": rule.window_s,
        "every_s": rule.every_s,
        "for_s": rule.for_s,
        "keep_firing_s": rule.keep_firing_s,
        "severity": rule.severity,
        "params": dict(rule.written),
        "no_data": rule.no_data,
        "channels": list(rule.channels),
        "labels": dict(rule.labels),
        "note": rule.note,
        "managed_by": rule.managed_by,
        "created_at": rfc3339(rule.created_ns),
        "updated_at": rfc3339(rule.updated_ns),
        "state": _state(rule, progress, active),
        "reason": progress.reason,
        "error": progress.error,
        "error_since": None if progress.error_since_ns is None else rfc3339(progress.error_since_ns),
        "evaluated_at": _time(progress.evaluated_s),
        "observed": dict(progress.observed),
        "took_ms": progress.took_ms,
        "alerts": {"pending": len(active) - firing, "firing": firing},
    }


def _state(rule: Rule, progress: RuleProgress, active: Sequence[Alert]) -> str:
    if not rule.enabled:
        return "off"
    if progress.error:
        return "error"
    if active:
        return "firing" if any(alert.state == "firing" for alert in active) else "pending"
    if progress.evaluated_s is None:
        return "new"
    return "ok" if any(state != "unknown" for state in progress.observed) else "unknown"


def back_test_reply(found: BackTest) -> dict[str, Any]:
    """Return a back-test as shown."""
    return {
        "from_time": _time(found.from_s),
        "to_time": _time(found.to_s),
        "every_s": found.step_s,
        "evaluations": found.steps,
        "observed": dict(found.observed),
        "alerts": [
            {
                "fingerprint": alert.fingerprint,
                "labels": dict(alert.labels),
                "severity": alert.severity,
                "began_at": _time(alert.active_s),
                "fired_at": _time(alert.fired_s),
                "resolved_at": _time(alert.resolved_s),
                "value": alert.value,
                "reason": alert.reason,
                "told_at": _time(found.first_told_s.get(alert.id)),
                "muted": _muted(found.muted.get(alert.id)),
            }
            for alert in found.alerts
        ],
        "left_out": found.left_out,
        "pending": found.pending,
        "notifications": found.notifications,
        "notified_at": [_time(told_s) for told_s in found.told_s[:MAX_TIMES]],
        "untold": sum(each not in found.first_told_s for each in found.muted),
        "lines": [{"labels": dict(line.labels), "points": line.points} for line in found.lines],
    }


def _muted(why: Muted | None) -> dict[str, str] | None:
    return None if why is None else {"by": why.by, "id": why.id}


def _help(kind: object) -> str:
    return inspect.getdoc(type(kind)) or ""


def _time(at_s: int | None) -> str | None:
    return None if at_s is None else rfc3339(at_s * NS_PER_S)
