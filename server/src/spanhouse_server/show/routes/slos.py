"""Service levels."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path

from spanhouse_server.clock import NS_PER_S, now_ns, rfc3339
from spanhouse_server.derive.series import StoreSeries
from spanhouse_server.derive.slo.burn import Burn, burn_rates, error_budget
from spanhouse_server.derive.slo.held import HeldEvents
from spanhouse_server.derive.slo.rules import checked
from spanhouse_server.model.budgets import Slo
from spanhouse_server.show.auth import Admin, ProjectId
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.slos import SloInput, SloItem, SloList, SloState

router = APIRouter(tags=["slos"])

SloId = Annotated[str, Path(max_length=100)]


@router.get("/slos", operation_id="listSlos", response_model=SloList)
def get_slos(context: Context, project_id: ProjectId) -> JsonReply:
    """List the project's service levels with their error budgets and burn rates."""
    return JsonReply({"items": [_state(context, slo) for slo in context.records.slos(project_id)]})


@router.post("/slos", operation_id="createSlo", response_model=SloItem, status_code=201, dependencies=[Admin])
def post_slo(context: Context, project_id: ProjectId, body: SloInput) -> JsonReply:
    """Add a service level. A rule of type `burn_rate` tells when its error budget burns too fast."""
    return JsonReply(_item(context.records.create_slo(_slo(project_id, "", body))), 201)


@router.get("/slos/{slo_id}", operation_id="getSlo", response_model=SloState)
def get_slo(context: Context, project_id: ProjectId, slo_id: SloId) -> JsonReply:
    """Give one service level with its error budget and how fast it burns over three pairs of windows."""
    return JsonReply(_state(context, context.records.slo(project_id, slo_id)))


@router.put("/slos/{slo_id}", operation_id="replaceSlo", response_model=SloItem, dependencies=[Admin])
def put_slo(context: Context, project_id: ProjectId, slo_id: SloId, body: SloInput) -> JsonReply:
    """Replace a service level as a whole."""
    return JsonReply(_item(context.records.update_slo(_slo(project_id, slo_id, body))))


@router.delete("/slos/{slo_id}", operation_id="deleteSlo", response_model=SloItem, dependencies=[Admin])
def delete_slo(context: Context, project_id: ProjectId, slo_id: SloId) -> JsonReply:
    """Delete a service level and return it."""
    return JsonReply(_item(context.records.delete_slo(project_id, slo_id)))


def _slo(project_id: str, slo_id: str, body: SloInput) -> Slo:
    given = body.model_dump()
    given["objective"] = Decimal(f"{body.objective:f}")
    return checked(Slo(id=slo_id, project_id=project_id, **given))


def _state(context: ShowContext, slo: Slo) -> dict[str, Any]:
    source = StoreSeries(context.store)
    at_s = now_ns() // NS_PER_S
    budget = error_budget(source, slo, at_s)
    return {
        **_item(slo),
        "error_budget": {
            "events": budget.total,
            "bad_events": budget.bad,
            "allowed_bad_events": budget.allowed,
            "left_share": budget.left_share,
            "attained": budget.attained,
            "points": budget.points,
        },
        "burn": [_burn(burn) for burn in burn_rates(HeldEvents(slo, source, at_s, at_s), slo, at_s)],
    }


def _burn(burn: Burn) -> dict[str, Any]:
    return {
        "window": burn.pair.name,
        "burns_from": burn.pair.rate,
        "urgency": burn.pair.urgency,
        "long_rate": burn.long_rate,
        "short_rate": burn.short_rate,
        "long_events": burn.long.total,
        "long_bad_events": burn.long.bad,
        "short_events": burn.short.total,
        "short_bad_events": burn.short.bad,
        "enough_events": burn.enough,
        "burning": burn.burning,
    }


def _item(slo: Slo) -> dict[str, Any]:
    return {
        "id": slo.id,
        "name": slo.name,
        "objective": f"{slo.objective:f}",
        "indicator": slo.indicator,
        "unit": slo.unit,
        "latency_of": slo.latency_of,
        "threshold_ms": slo.threshold_ms,
        "q": slo.q,
        "window_days": slo.window_days,
        "min_events": slo.min_events,
        "min_bad_events": slo.min_bad_events,
        "enabled": slo.enabled,
        "note": slo.note,
        "created_at": rfc3339(slo.created_ns),
        "updated_at": rfc3339(slo.updated_ns),
    }
