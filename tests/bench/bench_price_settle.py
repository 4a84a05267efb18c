"""How many spans a second are priced, and settled in traces of ten, on one core.

``python tests/bench/bench_price_settle.py`` prints the figures; ``pytest -m bench`` on this file also
holds them against their limits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.raw import RawSpan, Scope
from spanhouse_server.model.span import Span, Usage
from spanhouse_server.normalise.settle import settle
from spanhouse_server.price import price
from tests.unit.normalise.settle_facts import fact

SPANS = 20_000
ROUNDS = 5
PRICE_LIMIT = 50_000
SETTLE_LIMIT = 100_000


def priced_per_second() -> float:
    """Return how many calls are priced in a second."""

    def made(number: int) -> Span:
        start_ns = 1_795_000_000_000_000_000 + number
        raw = RawSpan("t", "s", "", "chat", "client", start_ns, start_ns, "ok", "", {}, [], [], {}, Scope())
        usage = Usage(1000 + number, 500, number % 900, 0, 7)
        return Span(raw=raw, category="llm", provider="openai", response_model="gpt-4o-2024-08-06", usage=usage)

    spans = [made(number) for number in range(SPANS)]

    def work() -> None:
        for span in spans:
            price(span)

    return _best(work)


def settled_per_second() -> float:
    """Return how many spans are settled in a second, in traces of a workflow, calls and tools."""
    traces = [_trace(f"{number:032x}") for number in range(SPANS // 10)]

    def work() -> None:
        for facts in traces:
            settle("default", facts, 1)

    return _best(work)


def _trace(trace_id: str) -> list[SpanFacts]:
    facts = [fact("0", trace_id=trace_id, category="workflow", session_id="s", tags=["a"], metadata={"k": "v"})]
    for number in range(1, 10):
        if number % 2:
            cent = Decimal("0.01")
            money = {"cost_usd": 2 * cent, "cost_input_usd": cent, "cost_output_usd": cent, "cost_status": "priced"}
            usage = {"input_tokens": 10, "output_tokens": 5, "response_id": f"r{number}", "ttft_ns": 5}
            facts.append(fact(str(number), "0", trace_id=trace_id, category="llm", request_model="m", **usage, **money))
        else:
            facts.append(fact(str(number), str(number - 1), trace_id=trace_id, category="tool", metadata={"x": "y"}))
    return facts


def _best(work: Callable[[], None]) -> float:
    best_s = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - begin)
    return SPANS / best_s


@pytest.mark.bench
@pytest.mark.parametrize(("measure", "limit"), [(priced_per_second, PRICE_LIMIT), (settled_per_second, SETTLE_LIMIT)])
def test_fast_enough(measure: Callable[[], float], limit: int) -> None:
    assert measure() >= limit


if __name__ == "__main__":
    print(f"price:  {priced_per_second():>9,.0f} spans/s (limit {PRICE_LIMIT:,})")
    print(f"settle: {settled_per_second():>9,.0f} spans/s (limit {SETTLE_LIMIT:,})")
