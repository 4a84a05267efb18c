"""Service levels as people write them: checked whole, so that what is kept can be measured."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from spanhouse_server.derive.slo.events import Events, events_of
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.budgets import INDICATORS, LATENCIES_OF, SLO_UNITS, Slo
from spanhouse_server.query.filter import parse_filter

MAX_WINDOW_DAYS = 90
MAX_THRESHOLD_MS = 24 * 3600 * 1000.0
MAX_FLOOR = 1_000_000


def checked(slo: Slo) -> Slo:
    """Return a service level as it can be kept; raise ``BadRequest`` naming the field, ``BadQuery`` for its filter."""
    name = slo.name.strip()
    if not 0 < len(name) <= 200:
        raise BadRequest("name: a service level needs a name of 1 to 200 characters")
    for field, known in (("indicator", INDICATORS), ("unit", SLO_UNITS), ("latency_of", LATENCIES_OF)):
        if getattr(slo, field) not in known:
            raise BadRequest(f"{field} must be one of {', '.join(known)}")
    _check_objective(slo.objective)
    if slo.indicator == "latency":
        if not math.isfinite(slo.threshold_ms) or not 0 < slo.threshold_ms <= MAX_THRESHOLD_MS:
            raise BadRequest("threshold_ms: a latency level needs one above 0 and up to a day")
    elif slo.threshold_ms:
        raise BadRequest("threshold_ms only goes with the indicator latency")
    if not 1 <= slo.window_days <= MAX_WINDOW_DAYS:
        raise BadRequest(f"window_days must lie between 1 and {MAX_WINDOW_DAYS}")
    for field in ("min_events", "min_bad_events"):
        if not 1 <= getattr(slo, field) <= MAX_FLOOR:
            raise BadRequest(f"{field} must lie between 1 and {MAX_FLOOR}")
    if len(slo.note) > 2000:
        raise BadRequest("note takes up to 2000 characters")
    parse_filter(slo.q)
    _check_length(events_of(slo))
    return replace(slo, name=name)


def _check_objective(objective: Decimal) -> None:
    exponent = objective.as_tuple().exponent
    if not objective.is_finite() or not Decimal("0.5") <= objective < 1:
        raise BadRequest("objective must lie between 0.5 and 1, for example 0.99 for 99 %")
    if isinstance(exponent, int) and -exponent > 8:
        raise BadRequest("objective has more than 8 decimal places")


def _check_length(events: Events) -> None:
    """The filters made of the given one must be readable too."""
    parse_filter(events.bad_q)
    parse_filter(events.all_q)
