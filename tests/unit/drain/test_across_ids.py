"""Reports of one call whose clocks differ, that come late, or many at once: the store ends as the rule says."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanhouse_server.drain.recent_calls import RecentCalls
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0
from tests.unit.drain.test_across import House, spool, store  # noqa: F401  fixtures
from tests.unit.normalise.settle_facts import settle_all

EXAMPLES = int(os.environ.get("SPANHOUSE_TEST_EXAMPLES", "3"))
IDS = ("chatcmpl-74b989df72189cab261ed261", "msg_01XFDUDYJgAACzvnptvVoYEL", "chatcmpl-123")


def machine(name: str) -> dict[str, str]:
    """Return the resource of a service on a machine of its own."""
    return {"service.name": name, "host.name": f"{name}-1"}


def counts(house: House) -> dict[tuple[str, str], str]:
    """Return of every span why it counts or does not; the totals of the traces must be those of what counts."""
    rows = house.store.select(
        "SELECT trace_id, span_id, counted, counted_reason, input_tokens FROM span_index FINAL"
        " WHERE project_id = {project:String}",
        {"project": house.project},
    )
    totals = house.store.select(
        "SELECT trace_id, input_tokens FROM traces FINAL WHERE project_id = {project:String}",
        {"project": house.project},
    )
    for total in totals:
        told = [row["input_tokens"] for row in rows if row["trace_id"] == total["trace_id"] and row["counted"]]
        assert total["input_tokens"] == (sum(told) if told else None)
    return {(row["trace_id"], row["span_id"]): row["counted_reason"] for row in rows}


def by_the_rule(house: House) -> dict[tuple[str, str], str]:
    """Return the same by the pure rule, applied at once to all that is stored."""
    traces = house.store.select(
        "SELECT DISTINCT trace_id FROM spans WHERE project_id = {project:String}", {"project": house.project}
    )
    facts = house.store.facts([(house.project, row["trace_id"]) for row in traces])
    settled = settle_all(each for members in facts.values() for each in members)
    return {(row.trace_id, row.span_id): row.counted_reason for one in settled.values() for row in one.spans}


def told_once(house: House) -> int:
    return sum(reason == "model_call" for reason in counts(house).values())


def drain(house: House, entries: Sequence[SpoolEntry], cuts: set[int], restarts: bool) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(entries)), len(entries)]
    for begin, end in zip(edges, edges[1:], strict=False):
        house.drain(entries[begin:end])
        if restarts:
            house.start()


reports = st.lists(
    st.fixed_dictionaries(
        {
            "trace": st.sampled_from(["t0", "t1", "t2", "t3", "t4", "t5"]),
            "scope": st.sampled_from(["sdk", "gateway", "engine"]),
            "id": st.sampled_from([IDS[0], IDS[0], IDS[0], IDS[1], IDS[2]]),
            "start_s": st.sampled_from([0, 0.5, 1.2, 20, 50, 70, 100, 800]),
            "duration_s": st.sampled_from([1, 1, 30, 850]),
            "tokens": st.sampled_from([7, 7, 7, 8]),
            "resource": st.sampled_from(["app", "gw"]).map(machine),
        }
    ),
    min_size=2,
    max_size=7,
)


@pytest.mark.parametrize("exclusive", [True, False])
def test_whatever_comes_in_whatever_order_ends_as_the_rule_says(
    store: ColumnarStore,  # noqa: F811
    spool: SqliteSpool,  # noqa: F811
    exclusive: bool,
) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        drawn=reports, seed=st.integers(0, 10**6), cuts=st.sets(st.integers(1, 6), max_size=4), restarts=st.booleans()
    )
    def check(drawn: list[dict[str, Any]], seed: int, cuts: set[int], restarts: bool) -> None:
        house = House(store, spool, exclusive)
        entries = [house.entry(each["trace"], f"call{at}", **_without_trace(each)) for at, each in enumerate(drawn)]
        random.Random(seed).shuffle(entries)
        drain(house, entries, cuts, restarts)
        assert counts(house) == by_the_rule(house)
        house.drain(entries[: len(entries) // 2])
        assert counts(house) == by_the_rule(house)

    check()


def _without_trace(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "trace"}


@pytest.mark.parametrize(("first", "restarts"), [("client", False), ("gateway", True)])
def test_a_gateway_whose_clock_is_off_tells_no_second_call(
    store: ColumnarStore,  # noqa: F811
    spool: SqliteSpool,  # noqa: F811
    first: str,
    restarts: bool,
) -> None:
    house = House(store, spool)
    both = {
        "client": house.entry("client", "call", tokens=7, id=IDS[0], resource=machine("app")),
        "gateway": house.entry("gateway", "call", tokens=7, id=IDS[0], start_s=41, resource=machine("gw")),
    }
    drain(house, sorted(both.values(), key=lambda entry: entry is not both[first]), {1}, restarts)
    assert told_once(house) == 1
    # A second call with that id, from a cache: now it tells nothing, and all count that do not overlap.
    house.drain([house.entry("again", "call", "", "client", 30, tokens=7, id=IDS[0], resource=machine("app"))])
    assert told_once(house) == 3
    assert counts(house) == by_the_rule(house)


def test_a_report_that_comes_an_hour_late_is_told_from_the_store(
    store: ColumnarStore,  # noqa: F811
    spool: SqliteSpool,  # noqa: F811
) -> None:
    house = House(store, spool)
    moments = iter([T0 - 100 * NS])
    later_ns = T0 + 3600 * NS
    house._pipeline._recent = RecentCalls(house.store, kept_keys=2, clock_ns=lambda: next(moments, later_ns))
    waiting = house.entry("client", "call", tokens=7, id=IDS[0], duration_s=700, resource=machine("app"))
    house.drain([waiting])
    for begin in (0, 3):
        others = [house.entry(f"t{begin + n}", "call", tokens=3, id=f"id-{begin + n}", start_s=3600) for n in range(3)]
        house.drain(others)
    assert house.searches() == 0
    late = house.entry("gateway", "call", tokens=7, id=IDS[0], start_s=695, resource=machine("gw"))
    house.drain([late])
    assert house.searches() > 0
    assert told_once(house) == 1 + 6
    assert counts(house) == by_the_rule(house)


def test_many_streams_of_equal_figures_count_as_often_as_there_were(
    store: ColumnarStore,  # noqa: F811
    spool: SqliteSpool,  # noqa: F811
) -> None:
    """As a day of one prompt brings them: the key is the same, and memory must not take it for a stand-in's."""
    house = House(store, spool)
    house.remember()
    opening, ending = house.stream()
    entries: list[SpoolEntry] = []
    for number in range(36):
        entries += house.again(opening, number, 20 * number) + house.again(ending, number, 20 * number)
    random.Random(1).shuffle(entries)
    drain(house, entries, {20, 50, 90}, restarts=False)
    [totals] = house.store.select(
        "SELECT sum(input_tokens) AS tokens, sum(llm_count) AS calls, count() AS traces FROM traces FINAL"
        " WHERE project_id = {project:String}",
        {"project": house.project},
    )
    assert counts(house) == by_the_rule(house)
    assert totals == {"tokens": 6 * 36, "calls": 36, "traces": 72}
