"""Which events a service level counts, as metrics with filters: one for all of them, one for the bad ones."""

from __future__ import annotations

from dataclasses import dataclass

from spanhouse_server.model.budgets import Slo


@dataclass(frozen=True, slots=True)
class Events:
    """What to ask for all events and for the bad ones among them."""

    all_metric: str
    all_q: str
    bad_metric: str
    bad_q: str


def events_of(slo: Slo) -> Events:
    """Return what a service level counts.

    A latency level is about what succeeded: failures are another level's. Of times to the first token only calls
    that have one count.
    """
    counts = "requests" if slo.unit == "requests" else "traces"
    if slo.indicator == "availability":
        return Events(counts, slo.q, "request_errors" if slo.unit == "requests" else "trace_errors", slo.q)
    measured = "-status:error has:ttft" if slo.latency_of == "ttft" else "-status:error"
    every = _and(slo.q, measured)
    return Events(counts, every, counts, f"{every} {slo.latency_of}>{slo.threshold_ms!r}ms")


def _and(q: str, more: str) -> str:
    return f"({q}) {more}" if q.strip() else more
