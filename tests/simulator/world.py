"""Weeks of traffic of a few services, minute by minute, from a seed.

Requests come at a rate with a shape over the day and the week, a trend, releases that move its level, bursts (a
slow random walk, surges of minutes, and more scatter than Poisson's within each minute). Tokens, cost, errors and
refusals are drawn for the requests of each minute; percentiles of latency and TTFT per five minutes with the
sampling error of that many requests. Some minutes are missing: nothing arrived.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.simulator.incidents import DAY_M, HOUR_M, Incident, planned

Values = NDArray[np.float64]

#: Monday 2026-01-05 00:00 UTC.
START_S = 1_767_571_200
WEEK_M = 7 * DAY_M
#: Width of the buckets that percentiles are measured in, minutes.
BUCKET_M = 5
_REQUEST_SPREAD, _TTFT_SPREAD = 0.6, 0.5
_TOKEN_CV2 = 1.2


@dataclass(frozen=True)
class Service:
    """A service as it is when all is well. ``dear_share`` of its requests go to a model of ``dear_factor`` the price."""

    name: str
    requests_per_min: float
    day_swing: float
    peak_hour: float
    weekend: float
    input_tokens: float
    output_tokens: float
    duration_ms: float
    ttft_ms: float
    error_rate: float
    refusal_rate: float
    usd_per_mtok: tuple[float, float] = (0.5, 2.0)
    dear_share: float = 0.1
    dear_factor: float = 6.0


SERVICES = (
    Service("chat", 24, 0.9, 14, 0.55, 1800, 350, 2400, 420, 0.010, 0.006),
    Service("search", 14, 0.7, 11, 0.75, 3200, 180, 1500, 350, 0.006, 0.003),
    Service("support", 8, 1.0, 15, 0.35, 2500, 420, 3600, 600, 0.015, 0.008),
    Service("summaries", 10, 0.8, 3, 1.0, 6000, 500, 6500, 900, 0.008, 0.002),
)


@dataclass(frozen=True)
class Gap:
    """Minutes of which nothing arrived, of one service or of all (``service`` empty)."""

    service: str
    start_m: int
    end_m: int


@dataclass
class Telemetry:
    """What was measured of one service: sums per minute, percentiles per ``BUCKET_M`` minutes (NaN: nothing)."""

    sums: dict[str, Values] = field(default_factory=dict)
    percentiles: dict[str, Values] = field(default_factory=dict)


@dataclass
class World:
    """A replay: what was measured, and the truth about it."""

    minutes: int
    telemetry: dict[str, Telemetry]
    incidents: Sequence[Incident]
    gaps: Sequence[Gap]
    releases: dict[str, list[int]]


def make_world(
    seed: int,
    weeks: float = 8,
    quiet_weeks: int = 3,
    each: int = 3,
    services: Sequence[Service] = SERVICES,
    incidents: Sequence[Incident] | None = None,
) -> World:
    """Return a replay with these incidents, or ``each`` of every kind, none in the first ``quiet_weeks``."""
    rng = np.random.default_rng(seed)
    minutes = round(weeks * 7) * DAY_M
    names = [service.name for service in services]
    if incidents is None:
        incidents = planned(rng, names, quiet_weeks * WEEK_M, minutes - DAY_M, each)
    gaps = _gaps(rng, names, minutes, incidents)
    world = World(minutes, {}, incidents, gaps, {})
    for service in services:
        own = [incident for incident in incidents if incident.service == service.name]
        releases = _releases(rng, minutes)
        world.releases[service.name] = releases
        measured = _measured(rng, service, minutes, own, releases)
        missing = np.zeros(minutes, dtype=bool)
        for gap in gaps:
            if gap.service in ("", service.name):
                missing[gap.start_m : gap.end_m] = True
        world.telemetry[service.name] = _seen(rng, measured, missing)
    return world


@dataclass
class _Truth:
    """What happened each minute, before anything went missing."""

    sums: dict[str, Values]
    duration_ms: Values
    ttft_ms: Values


def _measured(
    rng: np.random.Generator, service: Service, minutes: int, incidents: Sequence[Incident], releases: Sequence[int]
) -> _Truth:
    rate = service.requests_per_min * _shape(service, minutes) * _bursts(rng, minutes)
    rate *= np.exp(rng.normal(0.01, 0.01) * np.arange(minutes) / WEEK_M) * _levels(rng, minutes, releases, 0.06, 0.12)
    tokens = _levels(rng, minutes, releases, 0.05, 0.1) * _wander(rng, minutes, 6 * HOUR_M, 0.03)
    slow = _levels(rng, minutes, releases, 0.05, 0.1) * _wander(rng, minutes, 2 * HOUR_M, 0.03)
    first = _levels(rng, minutes, releases, 0.05, 0.1) * _wander(rng, minutes, 2 * HOUR_M, 0.04)
    error_rate = service.error_rate * _wander(rng, minutes, 3 * HOUR_M, 0.25)
    refusal_rate = service.refusal_rate * _wander(rng, minutes, 6 * HOUR_M, 0.25)
    dear = np.full(minutes, service.dear_share)
    for incident in incidents:
        span = slice(incident.start_m, incident.end_m)
        grown = incident.size ** np.linspace(0.0, 1.0, incident.end_m - incident.start_m)
        match incident.kind.name:
            case "model swap, cost x1.5":
                usual = 1 + service.dear_share * (service.dear_factor - 1)
                dear[span] = (incident.size * usual - 1) / (service.dear_factor - 1)
                slow[span] *= 1.05
            case "token leak":
                tokens[span] *= grown
                first[span] *= grown**0.4
                slow[span] *= grown**0.15
            case "latency +30 %":
                slow[span] *= incident.size
            case "TTFT creep":
                first[span] *= grown
                slow[span] *= 1 + (grown - 1) * service.ttft_ms / service.duration_ms
            case "retry storm":
                rate[span] *= incident.size
                error_rate[span] = rng.uniform(0.2, 0.4)
            case "error burst":
                error_rate[span] = incident.size
            case "traffic drop":
                rate[span] *= incident.size
            case "refusals burst":
                refusal_rate[span] = incident.size
            case other:
                raise ValueError(other)
    load = (rate / service.requests_per_min) ** 0.1
    # Within a minute requests come in clumps: a gamma mixture of Poissons, that is a negative binomial.
    requests = rng.poisson(rate * rng.gamma(8.0, 1 / 8.0, minutes)).astype(float)
    errors = rng.binomial(requests.astype(int), np.minimum(error_rate, 1.0)).astype(float)
    served = requests - errors
    refusals = rng.binomial(served.astype(int), np.minimum(refusal_rate, 1.0)).astype(float)
    inputs = _token_sum(rng, served, service.input_tokens * tokens)
    outputs = _token_sum(rng, served, np.full(minutes, service.output_tokens))
    dear_served = rng.binomial(served.astype(int), np.minimum(dear, 1.0))
    factor = 1 + (service.dear_factor - 1) * np.divide(dear_served, served, out=np.zeros(minutes), where=served > 0)
    cost = (inputs * service.usd_per_mtok[0] + outputs * service.usd_per_mtok[1]) / 1e6 * factor
    sums = {
        "requests": requests,
        "request_errors": errors,
        "refusals": refusals,
        "input_tokens": inputs,
        "output_tokens": outputs,
        "cost_usd": cost,
    }
    return _Truth(sums, service.duration_ms * slow * load, service.ttft_ms * first * load)


def _seen(rng: np.random.Generator, truth: _Truth, missing: NDArray[np.bool_]) -> Telemetry:
    """Return what is left after the gaps: sums of nothing are 0, percentiles of nothing NaN."""
    sums = {name: np.where(missing, 0.0, values) for name, values in truth.sums.items()}
    samples = sums["requests"].reshape(-1, BUCKET_M).sum(axis=1)
    percentiles: dict[str, Values] = {}
    for metric, medians, spread in (
        ("request_duration_ms", truth.duration_ms, _REQUEST_SPREAD),
        ("ttft_ms", truth.ttft_ms, _TTFT_SPREAD),
    ):
        median = medians.reshape(-1, BUCKET_M).mean(axis=1)
        with np.errstate(divide="ignore"):
            error = spread / np.sqrt(samples)
        noise = rng.normal(size=(2, len(median)))
        # The sampling errors of a quantile of lognormal values: sqrt(q (1 - q)) / density.
        fifty = median * np.exp(np.where(samples > 0, 1.2533 * error * noise[0], 0.0))
        tail = median * np.exp(1.645 * spread + np.where(samples > 0, 2.113 * error * noise[1], 0.0))
        percentiles[f"{metric}.p50"] = np.where(samples > 0, fifty, np.nan)
        percentiles[f"{metric}.p95"] = np.where(samples > 0, tail, np.nan)
    return Telemetry(sums, percentiles)


def _shape(service: Service, minutes: int) -> Values:
    """Return the usual rate over the week, on average about 1."""
    at = np.arange(minutes)
    hours = at % DAY_M / HOUR_M
    day = service.day_swing * np.cos(2 * np.pi * (hours - service.peak_hour) / 24)
    lunch = 0.15 * np.cos(4 * np.pi * (hours - service.peak_hour + 2) / 24)
    weekend = np.where(at // DAY_M % 7 >= 5, service.weekend, 1.0)
    shape: Values = np.exp(day + lunch) * weekend
    return shape / shape[:WEEK_M].mean()


def _bursts(rng: np.random.Generator, minutes: int) -> Values:
    days = np.repeat(np.exp(rng.normal(0, 0.05, minutes // DAY_M + 1)), DAY_M)[:minutes]
    bursts = _wander(rng, minutes, 30, 0.15) * days
    for _ in range(rng.poisson(2 * minutes / WEEK_M)):
        start = int(rng.integers(minutes))
        bursts[start : start + int(rng.integers(5, 25))] *= rng.uniform(1.4, 1.9)
    return bursts


def _wander(rng: np.random.Generator, minutes: int, memory_m: int, spread: float) -> Values:
    """Return a factor that wanders about 1: log-normal, forgetting itself over ``memory_m``."""
    step = 5
    keep = np.exp(-step / memory_m)
    noise = rng.normal(0, spread * np.sqrt(1 - keep**2), minutes // step + 1).tolist()
    value, path = rng.normal(0, spread), []
    for each in noise:
        value = keep * value + each
        path.append(value)
    factor: Values = np.exp(np.repeat(path, step)[:minutes])
    return factor


def _releases(rng: np.random.Generator, minutes: int) -> list[int]:
    """Return the minutes of releases, about one in six days, in working hours."""
    found, at = [], 0.0
    while (at := at + rng.exponential(6 * DAY_M)) < minutes:
        found.append(int(at) // DAY_M * DAY_M + int(rng.integers(9 * HOUR_M, 17 * HOUR_M)))
    return [minute for minute in found if minute < minutes]


def _levels(rng: np.random.Generator, minutes: int, releases: Sequence[int], spread: float, most: float) -> Values:
    """Return a level that every release moves a little, for good. What releases do is drawn back to the start."""
    level, at = np.ones(minutes), 0.0
    for minute in releases:
        at = 0.7 * at + float(np.clip(rng.normal(0, spread), -most, most))
        level[minute:] = np.exp(at)
    return level


def _token_sum(rng: np.random.Generator, served: Values, mean: Values) -> Values:
    drawn = rng.gamma(np.maximum(served, 1) / _TOKEN_CV2, mean * _TOKEN_CV2)
    tokens: Values = np.where(served > 0, np.round(drawn), 0.0)
    return tokens


def _gaps(rng: np.random.Generator, names: Sequence[str], minutes: int, incidents: Sequence[Incident]) -> list[Gap]:
    """Return about three gaps in two weeks, of minutes to hours; none hides the start of an incident."""
    found = []
    for _ in range(rng.poisson(1.5 * minutes / WEEK_M)):
        start = int(rng.integers(DAY_M, minutes - DAY_M))
        length = int(np.clip(np.exp(rng.normal(np.log(25), 1.2)), 3, 5 * HOUR_M))
        service = "" if rng.random() < 0.4 else names[int(rng.integers(len(names)))]
        if all(
            service not in ("", incident.service) or not start - 120 < incident.start_m < start + length
            for incident in incidents
        ):
            found.append(Gap(service, start, start + length))
    return found
