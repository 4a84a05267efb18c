"""Labelled incidents: what goes wrong, where, when, and which metrics it truly moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HOUR_M = 60
DAY_M = 24 * HOUR_M

COST = ("cost_usd", "cost_usd/requests")
LATENCY = ("request_duration_ms.p50", "request_duration_ms.p95")
TTFT = ("ttft_ms.p50", "ttft_ms.p95")
TOKENS = ("input_tokens/requests", "input_tokens")
ERRORS = ("request_errors/requests", "request_errors")


@dataclass(frozen=True)
class Kind:
    """One kind of incident.

    ``moves`` are the metrics that it truly changes: an alert on another one is a false page. ``step`` tells sudden
    ones from slow growth. ``length_m`` and ``size`` are ranges (minutes; factor, or share for rates).
    """

    name: str
    moves: tuple[str, ...]
    step: bool
    length_m: tuple[int, int]
    size: tuple[float, float]


KINDS = (
    Kind("model swap, cost x1.5", (*COST, *LATENCY), True, (6 * HOUR_M, DAY_M), (1.5, 1.5)),
    Kind("token leak", (*TOKENS, *COST, *TTFT, *LATENCY), False, (3 * DAY_M, 5 * DAY_M), (1.8, 2.5)),
    Kind("latency +30 %", LATENCY, True, (2 * HOUR_M, 8 * HOUR_M), (1.3, 1.3)),
    Kind("TTFT creep", (*TTFT, *LATENCY), False, (18 * HOUR_M, 36 * HOUR_M), (1.5, 2.0)),
    Kind("retry storm", ("requests", "cost_usd", "input_tokens", *ERRORS, *LATENCY, *TTFT), True,
         (30, 2 * HOUR_M), (2.5, 4.0)),
    Kind("error burst", ERRORS, True, (30, 2 * HOUR_M), (0.08, 0.25)),
    Kind("traffic drop", ("requests",), True, (HOUR_M, 3 * HOUR_M), (0.1, 0.45)),
    Kind("refusals burst", ("refusals/requests", "refusals"), True, (HOUR_M, 4 * HOUR_M), (0.06, 0.15)),
)  # fmt: skip


@dataclass(frozen=True)
class Incident:
    """One incident on one service: from minute ``start_m`` up to ``end_m``."""

    kind: Kind
    service: str
    start_m: int
    end_m: int
    size: float


def planned(
    rng: np.random.Generator, services: list[str], first_m: int, last_m: int, each: int, rest_m: int = 12 * HOUR_M
) -> list[Incident]:
    """Return ``each`` incidents of every kind at random times, with ``rest_m`` between two on one service."""
    found: list[Incident] = []
    # The long ones first: later there is no room for them.
    for kind in sorted(KINDS, key=lambda kind: -kind.length_m[1]):
        for _ in range(each):
            found.append(_placed(rng, kind, services, first_m, last_m, rest_m, found))
    return sorted(found, key=lambda incident: incident.start_m)


def _placed(
    rng: np.random.Generator,
    kind: Kind,
    services: list[str],
    first_m: int,
    last_m: int,
    rest_m: int,
    taken: list[Incident],
) -> Incident:
    for _ in range(10_000):
        length_m = int(rng.integers(kind.length_m[0], kind.length_m[1] + 1))
        start_m = int(rng.integers(first_m, last_m - length_m))
        service = services[int(rng.integers(len(services)))]
        if all(
            other.service != service or start_m > other.end_m + rest_m or start_m + length_m < other.start_m - rest_m
            for other in taken
        ):
            return Incident(kind, service, start_m, start_m + length_m, float(rng.uniform(*kind.size)))
    raise ValueError("no room for that many incidents")
