"""Judgements that name the answer they judge find its span, whichever comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from spanhouse_server.clock import now_ns
from spanhouse_server.drain import feedback, waiting_scores
from spanhouse_server.drain.feedback import Placing
from spanhouse_server.drain.transform import PreparedTrace
from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.model.feedback import Feedback
from spanhouse_server.model.span import Span
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore, TraceKey
from tests.stored import Keeper, columnar, hex_id, span
from tests.watched import Watched

R0 = now_ns()
Spot = tuple[str, str]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("feedback")) as store:
        yield store


@pytest.fixture
def keeper(opened: ColumnarStore) -> Keeper:
    """Give a store without judgements and spans."""
    for table in ("scores", "spans"):
        empty(opened, table)
    return Keeper(opened)


def empty(store: ColumnarStore, table: str) -> None:
    with store._inserts.client() as client:  # type: ignore[attr-defined]
        client.command(f"TRUNCATE TABLE {table}")


def judgement(
    number: int, response_id: str, trace: str = "", project: str = "default", at: int = 0, value: float = 1.0
) -> tuple[str, dict[str, Any]]:
    """Return a judgement received at the moment ``at``, of which the score ``number`` is made."""
    given = Feedback(
        f"s{number}", "good", R0, value=value, trace_id=hex_id(trace) if trace else "", response_id=response_id
    )
    return response_id, rows.score_row(project, R0 + 1000 * at, 30, given)


def batch(keeper: Keeper, *spans: Span, project: str = "default") -> dict[TraceKey, PreparedTrace]:
    """Store spans; return what placing is told of them."""
    if spans:
        keeper.put(*spans, project=project)
    traces: dict[TraceKey, list[Span]] = {}
    for each in spans:
        traces.setdefault((project, each.raw.trace_id), []).append(each)
    return {
        key: PreparedTrace({}, b"", b"", (), tuple({each.response_id for each in its if each.response_id}))
        for key, its in traces.items()
    }


def scores(store: ColumnarStore) -> dict[tuple[str, str], list[Spot]]:
    """Return where the stored scores stand, by project and id."""
    found: dict[tuple[str, str], list[Spot]] = {}
    for row in store.select("SELECT project_id, score_id, trace_id, span_id FROM scores FINAL ORDER BY span_id"):
        found.setdefault((row["project_id"], row["score_id"]), []).append((row["trace_id"], row["span_id"]))
    return found


def mine(store: ColumnarStore, number: int = 0) -> list[Spot]:
    return scores(store).get(("default", f"s{number}"), [])


def of(each: Span) -> Spot:
    return each.raw.trace_id, each.raw.span_id


def test_a_judgement_stands_on_the_innermost_span_of_the_call(keeper: Keeper) -> None:
    outer = span("t", "wrapper", start_s=0, response_id="r")
    call = span("t", "call", start_s=1, parent="wrapper", response_id="r")
    Placing(keeper.store).place([judgement(0, "r")], batch(keeper, outer, call), ())
    assert mine(keeper.store) == [of(call)]


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_same_answer_in_another_project_is_another_answer(keeper: Keeper, exclusive: bool) -> None:
    placing = Placing(Watched(keeper.store, exclusive))
    told = [judgement(n, "r", project=project) for n, project in enumerate(("default", "other", "third"))]
    placing.place(told, batch(keeper, call := span("mine", "call", response_id="r")), ())
    assert scores(keeper.store) == {("default", "s0"): [of(call)], ("other", "s1"): [("", "")],
                                    ("third", "s2"): [("", "")]}  # fmt: skip
    theirs = span("theirs", "call", start_s=9, response_id="r")
    placing.place([], batch(keeper, theirs, project="other"), ())
    assert scores(keeper.store) == {("default", "s0"): [of(call)], ("other", "s1"): [of(theirs)],
                                    ("third", "s2"): [("", "")]}  # fmt: skip


@pytest.mark.parametrize("trace", ["", "named"])
@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
def test_what_finds_no_span_waits_for_it(keeper: Keeper, trace: str, exclusive: bool, restarted: bool) -> None:
    store = Watched(keeper.store, exclusive)
    placing = Placing(store)
    placing.place([judgement(0, "r", trace), judgement(1, "other", trace)], {}, ())
    waiting = [(hex_id(trace) if trace else "", "")]
    assert (mine(store), mine(store, 1)) == (waiting, waiting)
    if restarted:
        placing = Placing(store)
    call = span("t", "call", response_id="r")
    placing.place([], batch(keeper, span("t2", "call", response_id="unasked")), ())
    assert mine(store) == waiting
    placing.place([], batch(keeper, call, span("t", "tool")), ())
    assert (mine(store), mine(store, 1)) == ([of(call)], waiting)
    [row] = keeper.store.select("SELECT value, label, source, retention_days, created_ns, version FROM scores FINAL"
                                " WHERE span_id != ''")  # fmt: skip
    assert row == {"value": 1.0, "label": "", "source": "import", "retention_days": 30, "created_ns": R0, "version": R0}


def test_a_batch_costs_nothing_where_nothing_is_waited_for(keeper: Keeper) -> None:
    store = Watched(keeper.store)
    placing = Placing(store)
    placing.place([judgement(0, "r", project="other")], batch(keeper, span("early", "call")), ())
    told = batch(keeper, call := span("t", "call", response_id="r"))
    store.asked.clear()
    placing.place([], told, {("default", call.raw.trace_id)})
    assert store.asked == []
    placing.place([], batch(keeper, call, project="other"), ())
    store.asked.clear()
    placing.place([], batch(keeper, span("u", "call", response_id="r"), project="other"), ())
    assert store.asked == [], "nothing waits any more, so the answer is forgotten"


def test_spans_that_are_made_of_log_records_end_the_wait(keeper: Keeper) -> None:
    placing = Placing(keeper.store)
    placing.place([judgement(0, "r", "named")], {}, ())
    batch(keeper, call := span("t", "call", response_id="r"))
    placing.place([], {}, {("default", call.raw.trace_id), ("other", hex_id("x"))})
    assert mine(keeper.store) == [of(call)]


@pytest.mark.parametrize("trace", ["", "named"])
def test_what_comes_again_is_there_once_and_the_last_counts(keeper: Keeper, trace: str) -> None:
    placing = Placing(keeper.store)
    call = span("t", "call", response_id="r")
    for turn in range(2):
        placing.place([judgement(0, "r", trace, at=turn, value=turn)], {}, ())
    assert len(mine(keeper.store)) == 1
    placing.place([], batch(keeper, call), ())
    inner = span("t", "inner", start_s=0.1, response_id="r")
    for turn in range(2, 5):
        # One that was received before the span came, and stored after it, is newer than what was moved.
        placing.place([judgement(0, "r", trace, at=turn, value=turn)], {}, ())
        [row] = keeper.store.select("SELECT trace_id, span_id, value FROM scores FINAL")
        assert ((row["trace_id"], row["span_id"]), row["value"]) == (of(inner if turn == 4 else call), turn)
        if turn == 3:
            placing.place([], batch(keeper, call, inner), ())


def test_a_judgement_can_come_back_to_where_it_was(keeper: Keeper) -> None:
    """What deleted it there is older than what is received later."""
    placing = Placing(keeper.store)
    call, inner = (span("t", name, start_s=n, response_id="r") for n, name in enumerate(("call", "inner")))
    for turn, its in enumerate(((call,), (call, inner), (call,))):
        empty(keeper.store, "spans")
        placing.place([judgement(0, "r", at=turn)], batch(keeper, *its), ())
        assert mine(keeper.store) == [of(its[-1])]


def test_what_stands_stays_when_its_span_is_past_its_retention(keeper: Keeper) -> None:
    placing = Placing(keeper.store)
    placing.place([judgement(0, "r", "named")], batch(keeper, call := span("t", "call", response_id="r")), ())
    empty(keeper.store, "spans")
    placing.place([judgement(0, "r", "named", at=1)], {}, ())
    assert mine(keeper.store) == [of(call)]


@pytest.mark.parametrize("trace", ["", "named"])
@pytest.mark.parametrize("dies_at", [1, 2])
def test_a_crash_while_moving_loses_nothing(keeper: Keeper, trace: str, dies_at: int) -> None:
    Placing(keeper.store).place([judgement(0, "r", trace)], {}, ())
    told = batch(keeper, call := span("t", "call", response_id="r"))

    dying = Watched(keeper.store)
    dying.die_at(dies_at - 1)
    with pytest.raises(StoreUnavailable):
        Placing(dying).place([], told, ())
    assert mine(keeper.store), "it is somewhere"
    Placing(keeper.store).place([], told, ())
    assert mine(keeper.store) == [of(call)]


def test_a_span_that_another_server_stores_at_that_moment_is_found(keeper: Keeper) -> None:
    """Each of two servers stores its part first and looks for the other's afterwards."""
    store = Watched(keeper.store, exclusive=False)
    told: list[Mapping[TraceKey, PreparedTrace]] = []
    call = span("t", "call", response_id="r")
    other = Placing(Watched(keeper.store, exclusive=False))

    def between(number: int) -> None:
        if number == 1:
            told.append(batch(keeper, call))
            other.place([], told[0], ())  # too early to see what waits

    store.inserting = between
    Placing(store).place([judgement(0, "r")], {}, ())
    assert mine(keeper.store) == [of(call)]


@pytest.mark.parametrize("exclusive", [True, False])
def test_many_are_read_and_moved_in_parts(keeper: Keeper, monkeypatch: pytest.MonkeyPatch, exclusive: bool) -> None:
    monkeypatch.setattr(waiting_scores, "CHUNK", 2)
    monkeypatch.setattr(feedback, "CHUNK", 2)
    monkeypatch.setattr(feedback, "MOVED_AT_ONCE", 3)
    placing = Placing(Watched(keeper.store, exclusive))
    # Five answers, the first of which is judged by seven.
    told = [judgement(n, f"r{n}") for n in range(5)] + [judgement(n, "r0") for n in range(5, 11)]
    placing.place(told, {}, ())
    calls = [span(f"t{n}", "call", response_id=f"r{n}") for n in range(5)]
    placing.place([], batch(keeper, *calls), ())
    assert [mine(keeper.store, n) for n in range(11)] == [[of(calls[n if n < 5 else 0])] for n in range(11)]


@pytest.mark.parametrize("exclusive", [True, False])
def test_more_than_can_be_remembered_find_their_spans_too(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, exclusive: bool
) -> None:
    for limit in ("MOST_REMEMBERED", "MOST_READ"):
        monkeypatch.setattr(waiting_scores, limit, 2)
    placing = Placing(store := Watched(keeper.store, exclusive))
    placing.place([], batch(keeper, span("early", "call", response_id="r")), ())
    calls = [span(f"t{n}", "call", response_id=f"r{n}") for n in range(5)]
    placing.place([judgement(n, f"r{n}") for n in range(3)], {}, ())
    placing.place([], batch(keeper, calls[1]), ())
    placing.place([judgement(n, f"r{n}") for n in (3, 4)], {}, ())
    placing.place([], batch(keeper, calls[3]), ())
    # Too many wait also at the next start.
    Placing(store).place([], batch(keeper, calls[0], calls[2], calls[4]), ())
    assert [mine(keeper.store, n) for n in range(5)] == [[of(call)] for call in calls]


def test_what_waited_too_long_is_not_read_in_but_found_when_it_comes_again(keeper: Keeper) -> None:
    response_id, row = judgement(0, "r")
    old_ns = R0 - (waiting_scores.LONGEST_DAYS + 1) * 86_400 * 10**9
    days = {"received_at": old_ns // 10**9, "version": old_ns, "retention_days": 0}
    Placing(keeper.store).place([(response_id, row | days)], {}, ())
    told = batch(keeper, call := span("t", "call", response_id="r"))
    Placing(keeper.store).place([], told, ())
    assert mine(keeper.store) == [("", "")]
    Placing(keeper.store).place([judgement(0, "r")], {}, ())
    assert mine(keeper.store) == [of(call)]
