"""Series read from a real store, and the same from memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from spanhouse_server.derive.alerts.rules import checked, kind_of
from spanhouse_server.derive.series import MemorySeries, Series, SeriesQuery, StoreSeries, adds_up, bucket_starts
from spanhouse_server.errors import BadQuery, BadRequest
from spanhouse_server.model.alerts import Rule
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import T0, Keeper, chat_trace, columnar, point

AT = T0 // 10**9
#: Starts of traces (s), each with a model call a second later.
STARTS = (0, 10, 55, 130, 131, 300, 610)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        keeper = Keeper(opened)
        for number, start_s in enumerate(STARTS):
            model = "gpt-4o" if number % 2 else "o3"
            keeper.put(*chat_trace(f"t{number}", start_s=start_s, model=model, error=number % 3 == 0), project="series")
        yield opened


def read(store: ColumnarStore, query: SeriesQuery, from_s: int, to_s: int) -> dict[str, list[float | None]]:
    found = StoreSeries(store).read("series", query, AT + from_s, AT + to_s)
    return {each.labels.get("model", ""): [value for _, value in each.points] for each in found}


def test_every_bucket_is_there(store: ColumnarStore) -> None:
    assert read(store, SeriesQuery("requests"), 0, 180) == {"": [3.0, 0.0, 2.0]}
    assert read(store, SeriesQuery("duration_ms.max", q="category:llm"), 0, 180) == {"": [2000.0, None, 2000.0]}
    assert read(store, SeriesQuery("requests"), 30, 61) == {"": [3.0, 0.0]}
    (one,) = StoreSeries(store).read("series", SeriesQuery("requests"), AT, AT + 120)
    assert [start for start, _ in one.points] == [AT, AT + 60]
    assert read(store, SeriesQuery("requests"), -600, -300) == {"": [0.0] * 5}
    assert StoreSeries(store).read("nobody", SeriesQuery("requests", ("model",)), AT, AT + 60) == []


def test_groups_and_offsets(store: ColumnarStore) -> None:
    grouped = SeriesQuery("requests", ("model",), "category:llm", interval_s=120)
    assert read(store, grouped, 0, 240) == {"o3": [2.0, 1.0], "gpt-4o": [1.0, 1.0]}
    assert read(store, replace(grouped, offset_s=90), 90, 330) == {"o3": [1.0, 0.0], "gpt-4o": [1.0, 1.0]}
    shifted = SeriesQuery("duration_ms.p95", (), "category:llm", interval_s=60, offset_s=50)
    assert read(store, shifted, 50, 170) == {"": [2000.0, 2000.0]}


def test_a_range_of_any_length_is_read_at_once(store: ColumnarStore) -> None:
    """More buckets than the API gives in one reply, of which those that hold nothing take up no memory."""
    query = SeriesQuery("requests", ("model",), interval_s=1)
    day = read(store, query, -86_400, 700)
    assert {name: len(values) for name, values in day.items()} == dict.fromkeys(day, 87_100)
    assert sum(sum(value or 0 for value in values) for values in day.values()) == len(STARTS)
    assert {name: values[86_400:] for name, values in day.items()} == read(store, query, 0, 700)


def test_known_groups_are_read_however_small_they_are(store: ColumnarStore) -> None:
    largest = SeriesQuery("requests", ("model",), "category:llm", 60, limit=1)
    assert list(read(store, largest, 0, 700)) == ["o3"]
    assert set(read(store, replace(largest, known=[("gpt-4o",), ("gone",)]), 0, 700)) == {"o3", "gpt-4o"}
    assert list(read(store, replace(largest, limit=0, known=[("gpt-4o",)]), 0, 700)) == ["gpt-4o"]


def test_many_known_groups_with_long_names_fit_in_a_statement(store: ColumnarStore) -> None:
    many = [(f"{number} " + "ü" * 2000,) for number in range(1000)]
    query = SeriesQuery("requests", ("model",), "category:llm", 60, limit=0, known=[*many, ("gpt-4o",)])
    assert list(read(store, query, 0, 700)) == ["gpt-4o"]


class Counting:
    """A store that counts the reads."""

    def __init__(self, store: ColumnarStore) -> None:
        self._store = store
        self.reads = 0

    def select(self, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
        self.reads += 1
        return self._store.select(sql, parameters)


def test_each_figure_is_read_once_however_long_the_range(store: ColumnarStore) -> None:
    """One look where rollups stand (nothing is rolled up here), then a read for each of the two figures."""
    counting = Counting(store)
    source = StoreSeries(counting)  # type: ignore[arg-type]
    weeks = SeriesQuery("request_errors/requests", ("model",), interval_s=300)
    (first, *_) = source.read("series", weeks, AT - 56 * 86_400, AT + 900)
    assert len(first.points) == 56 * 288 + 3
    assert counting.reads == 3


def test_ratios_divide_the_same_groups(store: ColumnarStore) -> None:
    """The model with most requests is not the one with most errors."""
    query = SeriesQuery("requests/request_errors", ("model",), "category:llm", 600)
    every = read(store, query, 0, 600)
    for name, values in every.items():
        assert read(store, replace(query, q=f"category:llm model:{name}"), 0, 600) == {name: values}
    assert len(read(store, replace(query, limit=1), 0, 600)) == 1
    assert read(store, replace(query, limit=1), 0, 600).items() <= every.items()


def test_ratios(store: ColumnarStore) -> None:
    query = SeriesQuery("request_errors/requests", ("model",), "category:llm", 300)
    assert read(store, query, 0, 600) == {"o3": [1 / 3, None], "gpt-4o": [0.5, 0.0]}


@pytest.mark.parametrize("bad", ["nothing", "requests/nothing", "requests/", "duration_ms.p200"])
def test_unknown_metrics_are_refused(store: ColumnarStore, bad: str) -> None:
    with pytest.raises(BadQuery):
        StoreSeries(store).read("series", SeriesQuery(bad), AT, AT + 60)


@pytest.mark.parametrize(
    ("metric", "every_s"), [("requests", 60), ("duration_ms.p95", 120), ("request_errors/requests", 60)]
)
def test_a_rule_judges_the_past_of_the_store_as_the_present(store: ColumnarStore, metric: str, every_s: int) -> None:
    rule = checked(
        Rule("r", "series", "r", "threshold", metric, "category:llm", ("model",), 300, every_s, written={"above": 0.1})
    )
    source = StoreSeries(store)
    steps = list(kind_of(rule).observe_over(rule, source, AT + 60, AT + 540, every_s))
    assert len(steps) == 480 // every_s + 1
    for at_s, seen in steps:
        alone = kind_of(rule).observe(rule, source, at_s)
        now = {str(each.labels): (each.state, each.value) for each in alone if each.state != "unknown"}
        then = {str(each.labels): (each.state, each.value) for each in seen if each.state != "unknown"}
        # A group that is not there at all now is one that counts nothing.
        assert now == {key: value for key, value in then.items() if key in now or value[1]}


def test_memory_puts_sums_together_and_nothing_else() -> None:
    held = [
        Series({"model": model, "tier": tier}, [(AT + n * 60, float(n + base)) for n in range(6)])
        for base, (model, tier) in enumerate((("a", "x"), ("a", "y"), ("b", "x")))
    ]
    memory = MemorySeries({"requests": held, "duration_ms.p95": held[:1]}, 60)

    def values(query: SeriesQuery, from_s: int = 0, to_s: int = 360) -> dict[str, list[float | None]]:
        found = memory.read("p", query, AT + from_s, AT + to_s)
        return {each.labels.get("model", ""): [value for _, value in each.points] for each in found}

    assert values(SeriesQuery("requests", ("model",), interval_s=180)) == {"a": [9.0, 27.0], "b": [9.0, 18.0]}
    assert values(SeriesQuery("requests", interval_s=120, offset_s=60), 60, 300) == {"": [15.0, 27.0]}
    assert values(SeriesQuery("duration_ms.p95", ("model", "tier")))["a"][:2] == [0.0, 1.0]
    assert values(SeriesQuery("requests"), -120, 60) == {"": [0.0, 0.0, 3.0]}
    for bad in (
        SeriesQuery("duration_ms.p95", interval_s=120), SeriesQuery("requests", interval_s=90),
        SeriesQuery("requests", interval_s=60, offset_s=30), SeriesQuery("errors"),
    ):  # fmt: skip
        with pytest.raises(BadQuery):
            values(bad)


def test_what_adds_up() -> None:
    assert [name for name in ("requests", "cost_usd", "duration_ms.sum", "requests/traces", "duration_ms", "score.x",
                              "score.a/b", "ttft_ms.p50/requests") if adds_up(name)] == [
        "requests", "cost_usd", "duration_ms.sum", "requests/traces"]  # fmt: skip


def test_too_many_buckets_are_refused() -> None:
    with pytest.raises(BadRequest):
        bucket_starts(0, 10**9, 1)
    with pytest.raises(BadRequest):
        bucket_starts(0, 10, 0)


def test_otlp_metrics_can_be_watched(store: ColumnarStore) -> None:
    keeper = Keeper(store)
    name = "vllm:num_requests_waiting"
    keeper.points(
        [point(name, at_s, value=float(value), attributes={"model_name": model})
         for model, values in (("a", (1, 9, 8)), ("b", (2, 2, 2))) for at_s, value in zip((5, 65, 125), values, strict=True)],
        project="series",
    )  # fmt: skip
    query = SeriesQuery(f"otel:{name}", ("model_name",))
    found = StoreSeries(store).read("series", query, AT, AT + 240)
    assert {each.labels["model_name"]: [value for _, value in each.points] for each in found} == {
        "a": [1.0, 9.0, 8.0, None], "b": [2.0, 2.0, 2.0, None]}  # fmt: skip
    rule = checked(
        Rule("r", "series", "r", "scaling", f"otel:{name}@max", "", ("model_name",), 120, 60,
             written={"above": 4, "aggregate": "min"})
    )  # fmt: skip
    seen = {each.labels["model_name"]: each.state for each in kind_of(rule).observe(rule, StoreSeries(store), AT + 180)}
    assert seen == {"a": "breach", "b": "ok"}
    over = dict(kind_of(rule).observe_over(rule, StoreSeries(store), AT + 120, AT + 240, 60))
    assert [len([each for each in over[at_s] if each.state == "breach"]) for at_s in over] == [0, 1, 1]
    (nothing,) = kind_of(rule).observe(replace(rule, group_by=(), metric="otel:none"), StoreSeries(store), AT + 180)
    assert (nothing.state, nothing.evidence["reason"][:14]) == ("unknown", "not observable")
    for bad in (replace(query, q="model:x"), replace(query, offset_s=30), replace(query, metric="otel:")):
        with pytest.raises(BadQuery):
            StoreSeries(store).read("series", bad, AT, AT + 60)
