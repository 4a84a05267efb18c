"""Budgets, service levels and the price of own GPUs: what people set, as records store and API share it.

Times named ``_ns`` are nanoseconds since 1970; money is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

BudgetPeriod = Literal["day", "week", "month", "rolling"]
BUDGET_PERIODS: tuple[BudgetPeriod, ...] = ("day", "week", "month", "rolling")
DEFAULT_THRESHOLDS = (50, 80, 100)

Indicator = Literal["availability", "latency"]
INDICATORS: tuple[Indicator, ...] = ("availability", "latency")
SloUnit = Literal["requests", "traces"]
SLO_UNITS: tuple[SloUnit, ...] = ("requests", "traces")
LatencyOf = Literal["duration", "ttft"]
LATENCIES_OF: tuple[LatencyOf, ...] = ("duration", "ttft")


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be spent in a period on the spans that ``q`` selects.

    ``per`` names a field (``user``, ``tag``, ``metadata.team`` …): then the limit holds for each of its values by
    itself. ``rolling`` periods are the last ``rolling_hours``; the others begin at midnight, on Monday, or on the
    first, in ``time_zone``. ``thresholds`` are per cent of the limit. ``enforce`` makes the proxy refuse calls once
    the limit is reached.
    """

    id: str
    project_id: str
    name: str
    limit_usd: Decimal
    period: BudgetPeriod = "month"
    rolling_hours: int = 0
    time_zone: str = "UTC"
    q: str = ""
    per: str = ""
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS
    enforce: bool = False
    enabled: bool = True
    note: str = ""
    created_ns: int = 0
    updated_ns: int = 0


@dataclass(frozen=True, slots=True)
class Crossing:
    """The one time in a period that a budget's spend reached a threshold.

    ``value`` is the value of the budget's ``per``, empty without one; ``period_key`` names the period.
    """

    budget_id: str
    project_id: str
    value: str
    period_key: str
    threshold: int
    crossed_ns: int
    used_usd: Decimal


@dataclass(frozen=True, slots=True)
class Slo:
    """A service level: which share of events must be good over ``window_days``.

    ``availability``: an event is bad when it failed. ``latency``: bad when ``latency_of`` took longer than
    ``threshold_ms``; what failed is left out. Events are model calls or traces (``unit``) that ``q`` selects. Burn
    rates are only judged on at least ``min_events`` events, ``min_bad_events`` of them bad, in the long window.
    """

    id: str
    project_id: str
    name: str
    objective: Decimal
    indicator: Indicator = "availability"
    unit: SloUnit = "requests"
    latency_of: LatencyOf = "duration"
    threshold_ms: float = 0.0
    q: str = ""
    window_days: int = 30
    min_events: int = 30
    min_bad_events: int = 3
    enabled: bool = True
    note: str = ""
    created_ns: int = 0
    updated_ns: int = 0


@dataclass(frozen=True, slots=True)
class GpuPrice:
    """GPUs that serve models of one's own, and what an hour of one costs.

    ``q`` selects the calls they serve, e.g. ``model:llama-3*``. They are paid for from ``from_ns`` until
    ``until_ns`` (``None``: until now), used or not.
    """

    id: str
    project_id: str
    name: str
    q: str
    gpu_count: Decimal
    usd_per_gpu_hour: Decimal
    gpu_type: str = ""
    from_ns: int = 0
    until_ns: int | None = None
    note: str = ""
    created_ns: int = 0
