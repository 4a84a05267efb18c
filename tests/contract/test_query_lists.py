"""Lists on the real engine: paging that neither repeats nor skips, in every order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from spanhouse_server.errors import BadQuery
from spanhouse_server.query import sessions, spans, traces, users
from spanhouse_server.query.page import ListQuery
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import Keeper, chat_trace, columnar, span

COUNT = 30


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    dice = random.Random(7)
    with columnar(tmp_path_factory.mktemp("store")) as opened:
        keeper = Keeper(opened)
        for number in range(COUNT):
            # Starts, costs and durations repeat, so that every order has ties.
            keeper.put(
                *chat_trace(
                    f"t{number}",
                    start_s=number // 4,
                    cost=dice.choice(["0.01", "0.02", "0.000000000001"]),
                    error=number % 3 == 0,
                    session=f"s{number % 7}",
                    user=f"u{number % 5}",
                )  # fmt: skip
            )
        keeper.put(span("free", "free", start_s=3))
        yield opened


Lister = Callable[[ColumnarStore, str, ListQuery], dict[str, Any]]


def walk(lister: Lister, store: ColumnarStore, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(200):
        page = lister(store, "default", ListQuery(cursor=cursor, **query))
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = page["next_cursor"]
    raise AssertionError("paging does not end")


CASES = [
    *((traces.list_traces, "trace_id", COUNT + 1, name) for name in traces.SORTS),
    *((spans.list_spans, "span_id", 3 * COUNT + 1, name) for name in spans.SORTS),
    *((sessions.list_sessions, "session_id", 7, name) for name in sessions.SORTS),
    *((users.list_users, "user_id", 5, name) for name in users.SORTS),
]


@pytest.mark.parametrize(
    ("lister", "key", "count", "sort"), CASES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_pages_cover_all_rows_once_in_both_directions(
    store: ColumnarStore, lister: Lister, key: str, count: int, sort: str
) -> None:
    up = [item[key] for item in walk(lister, store, sort=sort, limit=7)]
    down = [item[key] for item in walk(lister, store, sort=f"-{sort}", limit=5)]
    assert len(up) == count
    assert len(set(up)) == count
    assert down == up[::-1]


def test_the_default_is_newest_first(store: ColumnarStore) -> None:
    starts = [item["start_time"] for item in walk(traces.list_traces, store, limit=200)]
    assert starts == sorted(starts, reverse=True)


def test_sorts_by_exact_cost(store: ColumnarStore) -> None:
    costs = [item["cost_usd"] for item in walk(traces.list_traces, store, sort="-cost", limit=10)]
    assert costs[0] == "0.02"
    assert costs[-2:] == ["0.000000000001", None]


def test_rows_that_arrive_between_pages_shift_nothing(store: ColumnarStore) -> None:
    first = traces.list_traces(store, "default", ListQuery(limit=10))
    expected = traces.list_traces(store, "default", ListQuery(limit=10, cursor=first["next_cursor"]))
    Keeper(store).put(*chat_trace("late newest", start_s=500), *chat_trace("also late", start_s=499))
    second = traces.list_traces(store, "default", ListQuery(limit=10, cursor=first["next_cursor"]))
    assert second == expected
    newest = traces.list_traces(store, "default", ListQuery(limit=2))["items"]
    assert [item["name"] for item in newest] == ["late newest", "also late"]


def test_a_span_sent_again_is_listed_once(store: ColumnarStore) -> None:
    keeper = Keeper(store)
    keeper.put(*chat_trace("twice", start_s=700))
    keeper.put(*chat_trace("twice", start_s=700))
    found = traces.list_traces(store, "default", ListQuery(q="name:twice"))["items"]
    assert [item["span_count"] for item in found] == [3]
    assert len(spans.list_spans(store, "default", ListQuery(q=f"trace:{found[0]['trace_id']}"))["items"]) == 3


@pytest.mark.parametrize("cursor", ["x", "AAAA", "W10", "WyJhIl0", "ü", "-" * 50])
@pytest.mark.parametrize("lister", [traces.list_traces, spans.list_spans, sessions.list_sessions, users.list_users])
def test_a_cursor_from_elsewhere_is_refused(store: ColumnarStore, lister: Lister, cursor: str) -> None:
    with pytest.raises(BadQuery, match="cursor"):
        lister(store, "default", ListQuery(cursor=cursor))


def test_another_project_sees_nothing(store: ColumnarStore) -> None:
    cursor = traces.list_traces(store, "default", ListQuery(limit=1))["next_cursor"]
    for lister in (traces.list_traces, spans.list_spans, sessions.list_sessions, users.list_users):
        assert lister(store, "other", ListQuery())["items"] == []
    assert traces.list_traces(store, "other", ListQuery(cursor=cursor))["items"] == []
