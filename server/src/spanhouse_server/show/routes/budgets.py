"""Budgets."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from spanhouse_server.clock import NS_PER_S, now_ns, rfc3339
from spanhouse_server.derive.budgets.callers import condition_of, share_of
from spanhouse_server.derive.budgets.forecast import COVERAGE
from spanhouse_server.derive.budgets.guard import REFRESH_S
from spanhouse_server.derive.budgets.periods import period_at, to_ns
from spanhouse_server.derive.budgets.rules import checked, shorthand
from spanhouse_server.derive.budgets.spending import Spending
from spanhouse_server.derive.budgets.state import BudgetState, budget_states
from spanhouse_server.derive.series import StoreSeries
from spanhouse_server.errors import NotFound
from spanhouse_server.model.budgets import Budget, Crossing
from spanhouse_server.query.rows import dollars
from spanhouse_server.show.auth import Admin, ProjectId
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.budgets import BudgetDetail, BudgetInput, BudgetItem, BudgetList, BudgetVerdicts

router = APIRouter(tags=["budgets"])

BudgetId = Annotated[str, Path(max_length=100)]
#: Values of a budget per user (tag …) that the list shows.
LISTED_VALUES = 5
#: Values at their limit that one reply to a proxy lists, of all budgets together.
MAX_CLOSED_VALUES = 20_000


@router.get("/budgets", operation_id="listBudgets", response_model=BudgetList)
def get_budgets(context: Context, project_id: ProjectId) -> JsonReply:
    """List the project's budgets with what was spent of them; forecasts come with each one alone."""
    spending = Spending(context.store)
    at_s = now_ns() // NS_PER_S
    return JsonReply(
        {
            "items": [
                _item(budget, budget_states(spending, budget, at_s, limit=LISTED_VALUES), at_s)
                for budget in context.records.budgets(project_id)
            ]
        }
    )


@router.post("/budgets", operation_id="createBudget", response_model=BudgetItem, status_code=201, dependencies=[Admin])
def post_budget(context: Context, project_id: ProjectId, body: BudgetInput) -> JsonReply:
    """Add a budget. A rule of type `budget` tells when it is used up, or will be."""
    return JsonReply(_now(context, context.records.create_budget(_budget(context, project_id, "", body))), 201)


@router.get("/budgets/verdicts", operation_id="listBudgetVerdicts", response_model=BudgetVerdicts)
def get_verdicts(context: Context, project_id: ProjectId) -> JsonReply:
    """List the enforced budgets that are used up now, for a proxy that stands elsewhere; the project's key is enough."""
    closed = context.budgets.closed(project_id)
    room = MAX_CLOSED_VALUES
    items = []
    for each in closed:
        dearest = sorted(each.spent_usd.items(), key=lambda item: (-item[1], item[0]))[:room]
        room -= len(dearest)
        items.append(
            {
                "id": each.budget.id,
                "name": each.budget.name,
                "limit_usd": f"{each.budget.limit_usd:f}",
                "resets_at": None if each.until_s is None else rfc3339(to_ns(each.until_s)),
                "condition": condition_of(each.node),
                "per": share_of(each.budget),
                "closed": [{"value": value, "used_usd": dollars(used_usd)} for value, used_usd in dearest],
            }
        )
    return JsonReply(
        {
            "read_at": rfc3339(now_ns()),
            "refresh_s": REFRESH_S,
            "truncated": sum(len(each.spent_usd) for each in closed) > MAX_CLOSED_VALUES,
            "items": items,
        }
    )


@router.get("/budgets/{budget_id}", operation_id="getBudget", response_model=BudgetDetail)
def get_budget(
    context: Context,
    project_id: ProjectId,
    budget_id: BudgetId,
    limit: Annotated[int, Query(ge=1, le=1000, description="Values of a budget per user, tag …")] = 100,
) -> JsonReply:
    """Give one budget with its state, its forecast and the thresholds it crossed."""
    budget = context.records.budget(project_id, budget_id)
    at_s = now_ns() // NS_PER_S
    states = budget_states(Spending(context.store), budget, at_s, StoreSeries(context.store), limit)
    crossings = context.records.crossings(project_id, budget_id)
    return JsonReply({**_item(budget, states, at_s), "crossings": [_crossing(each) for each in crossings]})


@router.put("/budgets/{budget_id}", operation_id="replaceBudget", response_model=BudgetItem, dependencies=[Admin])
def put_budget(context: Context, project_id: ProjectId, budget_id: BudgetId, body: BudgetInput) -> JsonReply:
    """Replace a budget as a whole."""
    return JsonReply(_now(context, context.records.update_budget(_budget(context, project_id, budget_id, body))))


@router.delete("/budgets/{budget_id}", operation_id="deleteBudget", response_model=BudgetItem, dependencies=[Admin])
def delete_budget(context: Context, project_id: ProjectId, budget_id: BudgetId) -> JsonReply:
    """Delete a budget with its history and return it."""
    return JsonReply(_now(context, context.records.delete_budget(project_id, budget_id)))


def _budget(context: ShowContext, project_id: str, budget_id: str, body: BudgetInput) -> Budget:
    key_id = _key_id(context, project_id, body.key) if body.key else ""
    return checked(
        Budget(
            id=budget_id,
            project_id=project_id,
            name=body.name,
            limit_usd=Decimal(f"{body.limit_usd:f}"),
            period=body.period,
            rolling_hours=body.rolling_hours,
            time_zone=body.time_zone,
            q=shorthand(body.q, body.user, key_id, body.tag),
            per=body.per,
            thresholds=tuple(body.thresholds),
            enforce=body.enforce,
            enabled=body.enabled,
            note=body.note,
        )
    )


def _key_id(context: ShowContext, project_id: str, key: str) -> str:
    """Return what stands on spans for one of the project's keys."""
    known = context.records.key_ids(project_id)
    if key not in known:
        raise NotFound(
            f"no key {key!r} in this project",
            "give the id of one of its keys; for a provider's key write metadata.key_id:… in q, as its spans show it",
        )
    return known[key]


def _now(context: ShowContext, budget: Budget) -> dict[str, Any]:
    at_s = now_ns() // NS_PER_S
    return _item(budget, budget_states(Spending(context.store), budget, at_s, limit=LISTED_VALUES), at_s)


def _item(budget: Budget, states: list[BudgetState], at_s: int) -> dict[str, Any]:
    period = period_at(budget, at_s)
    return {
        "id": budget.id,
        "name": budget.name,
        "limit_usd": f"{budget.limit_usd:f}",
        "period": budget.period,
        "rolling_hours": budget.rolling_hours,
        "time_zone": budget.time_zone,
        "q": budget.q,
        "per": budget.per,
        "thresholds": list(budget.thresholds),
        "enforce": budget.enforce,
        "enabled": budget.enabled,
        "note": budget.note,
        "created_at": rfc3339(budget.created_ns),
        "updated_at": rfc3339(budget.updated_ns),
        "current_period": {
            "key": period.key,
            "start_time": rfc3339(to_ns(period.start_s)),
            "end_time": rfc3339(to_ns(period.end_s)),
        },
        "states": [_state(state) for state in states],
    }


def _state(state: BudgetState) -> dict[str, Any]:
    expected = state.forecast
    return {
        "value": state.value,
        "used_usd": dollars(state.spent.used_usd),
        "left_usd": dollars(state.left_usd),
        "used_share": state.used_share,
        "reached": list(state.reached),
        "used_up": state.used_up,
        "unpriced_calls": state.spent.unpriced_calls,
        "unpriced_tokens": state.spent.unpriced_tokens,
        "forecast": None
        if expected is None
        else {
            "total_usd": expected.total_usd,
            "low_usd": expected.low_usd,
            "high_usd": expected.high_usd,
            "coverage": COVERAGE,
            "method": expected.method,
            "history_hours": expected.history_hours,
        },
        "projected_overrun": state.projected_overrun,
    }


def _crossing(crossing: Crossing) -> dict[str, Any]:
    return {
        "value": crossing.value,
        "period_key": crossing.period_key,
        "threshold": crossing.threshold,
        "crossed_at": rfc3339(crossing.crossed_ns),
        "used_usd": dollars(crossing.used_usd),
    }
