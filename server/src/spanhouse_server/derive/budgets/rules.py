"""Budgets as people write them: checked whole, so that what is kept can be counted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from spanhouse_server.derive.budgets.callers import can_enforce
from spanhouse_server.derive.budgets.periods import MAX_ROLLING_HOURS, zone_of
from spanhouse_server.errors import BadQuery, BadRequest
from spanhouse_server.model.budgets import BUDGET_PERIODS, Budget
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.filter import parse_filter

MAX_LIMIT_USD = Decimal(10) ** 12
MAX_DECIMALS = 12
MAX_THRESHOLDS = 10
MAX_THRESHOLD = 1000


def checked(budget: Budget) -> Budget:
    """Return a budget as it can be kept; raise ``BadRequest`` naming the field, ``BadQuery`` for its filter."""
    name = budget.name.strip()
    if not 0 < len(name) <= 200:
        raise BadRequest("name: a budget needs a name of 1 to 200 characters")
    _check_limit(budget.limit_usd)
    if budget.period not in BUDGET_PERIODS:
        raise BadRequest(f"period must be one of {', '.join(BUDGET_PERIODS)}")
    rolling = budget.period == "rolling"
    if rolling and not 1 <= budget.rolling_hours <= MAX_ROLLING_HOURS:
        raise BadRequest(f"rolling_hours must lie between 1 and {MAX_ROLLING_HOURS}")
    if not rolling and budget.rolling_hours:
        raise BadRequest("rolling_hours only goes with the period rolling")
    zone_of(budget.time_zone)
    parse_filter(budget.q)
    if budget.per:
        try:
            grouping_field(budget.per)
        except BadQuery as error:
            raise BadRequest(f"per: {error.message}", error.hint) from None
    if budget.enforce and not can_enforce(budget):
        raise BadRequest(
            "enforce: the proxy cannot tell before a call whether this budget is meant",
            "an enforced budget may ask for user, tag, session, environment, prompt, prompt_version and"
            " metadata (metadata.key_id for keys)",
        )
    if len(budget.note) > 2000:
        raise BadRequest("note takes up to 2000 characters")
    return replace(budget, name=name, thresholds=_thresholds(budget.thresholds))


def shorthand(q: str, user: str = "", key_id: str = "", tag: str = "") -> str:
    """Return a filter for what also fits one user, key or tag."""
    parts = [
        f"{field}:{quoted(value)}"
        for field, value in (("user", user), ("metadata.key_id", key_id), ("tag", tag))
        if value
    ]
    if not parts:
        return q
    return " AND ".join([f"({q})", *parts] if q.strip() else parts)


def quoted(text: str) -> str:
    """Return a text as a quoted value of the filter language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_limit(limit_usd: Decimal) -> None:
    exponent = limit_usd.as_tuple().exponent
    if not limit_usd.is_finite() or not 0 < limit_usd <= MAX_LIMIT_USD:
        raise BadRequest(f"limit_usd must lie above 0 and up to {MAX_LIMIT_USD}")
    if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
        raise BadRequest(f"limit_usd has more than {MAX_DECIMALS} decimal places")


def _thresholds(given: tuple[int, ...]) -> tuple[int, ...]:
    if len(given) > MAX_THRESHOLDS:
        raise BadRequest(f"thresholds: at most {MAX_THRESHOLDS}")
    for each in given:
        if not 1 <= each <= MAX_THRESHOLD:
            raise BadRequest(f"thresholds are whole per cents between 1 and {MAX_THRESHOLD}")
    return tuple(sorted(set(given)))
