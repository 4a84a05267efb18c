"""Judgements that name the answer they judge find its span."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanhouse_server.drain import feedback
from spanhouse_server.drain.feedback import place_feedback
from spanhouse_server.model.feedback import Feedback
from spanhouse_server.store import rows
from tests.stored import T0, Keeper, columnar, hex_id, span


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    with columnar(tmp_path / "columnar") as store:
        yield Keeper(store)


def placed(keeper: Keeper, *judged: tuple[str, str, str]) -> dict[tuple[str, str], tuple[str, str]]:
    """Place judgements, each (project, response id, trace named); give where the stored ones stand."""
    unplaced = []
    for number, (project, response_id, trace) in enumerate(judged):
        given = Feedback(f"s{number}", "good", T0, value=1.0, trace_id=hex_id(trace) if trace else "")
        unplaced.append((response_id, rows.score_row(project, T0, 0, given)))
    place_feedback(keeper.store, unplaced)
    found = keeper.store.select("SELECT project_id, score_id, trace_id, span_id FROM scores FINAL")
    return {(row["project_id"], row["score_id"]): (row["trace_id"], row["span_id"]) for row in found}


def test_a_judgement_stands_on_the_innermost_span_of_the_call(keeper: Keeper) -> None:
    outer = span("t", "wrapper", start_s=0, response_id="r")
    call = span("t", "call", start_s=1, parent="wrapper", response_id="r")
    keeper.put(outer, call)
    assert placed(keeper, ("default", "r", "")) == {("default", "s0"): (call.raw.trace_id, call.raw.span_id)}


def test_the_same_answer_in_another_project_is_another_answer(keeper: Keeper) -> None:
    mine, theirs = span("mine", "call", response_id="r"), span("theirs", "call", start_s=9, response_id="r")
    keeper.put(mine)
    keeper.put(theirs, project="other")
    assert placed(keeper, ("default", "r", ""), ("other", "r", ""), ("third", "r", "named")) == {
        ("default", "s0"): (mine.raw.trace_id, mine.raw.span_id),
        ("other", "s1"): (theirs.raw.trace_id, theirs.raw.span_id),
        ("third", "s2"): (hex_id("named"), ""),
    }


def test_what_finds_no_span_stays_on_its_trace_or_is_nowhere(keeper: Keeper) -> None:
    assert placed(keeper, ("default", "unknown", "named"), ("default", "unknown", "")) == {
        ("default", "s0"): (hex_id("named"), "")
    }


def test_many_judgements_are_looked_up_in_parts(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "CHUNK", 2)
    calls = [span("t", f"call {n}", response_id=f"r{n}") for n in range(5)]
    keeper.put(*calls)
    found = placed(keeper, *(("default", f"r{n}", "") for n in range(5)))
    assert [found["default", f"s{n}"][1] for n in range(5)] == [call.raw.span_id for call in calls]
