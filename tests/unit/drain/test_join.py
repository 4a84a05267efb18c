"""A batch joins log records to the spans it touched, not to all spans of their trace."""

from collections.abc import Iterator

import pytest

from spanhouse_server.drain.join import SPANS_CHUNK, join_logs
from spanhouse_server.model.raw import RawLog, Scope
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.rows import lines, log_row, span_row
from tests.contract.samples import T0, make_span
from tests.stored import columnar

TRACE, OTHER = "1" * 32, "2" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        yield opened


def put(store: ColumnarStore, project: str, trace_id: str, span_ids: list[str], said: str = "hi") -> None:
    attributes = {"gen_ai.operation.name": "chat"}
    spans = [make_span(trace_id, span_id, name=f"span {said}", attributes=attributes) for span_id in span_ids]
    store.insert("spans", lines(span_row(project, T0, 0, span) for span in spans))
    logs = [
        RawLog(T0, T0, 9, "INFO", "gen_ai.user.message", {"content": said}, {}, {}, Scope("s"), trace_id, span_id)
        for span_id in span_ids
    ]
    store.insert("logs", lines(log_row(project, T0 + 5, 0, log, is_genai=True) for log in logs))


def joined(store: ColumnarStore, project: str) -> set[tuple[str, str]]:
    rows = store.select(
        "SELECT trace_id, span_id FROM spans FINAL WHERE project_id = {project:String} AND version > {sent:UInt64}",
        {"project": project, "sent": T0},
    )
    return {(row["trace_id"], row["span_id"]) for row in rows}


def test_only_touched_spans_are_read_again(store: ColumnarStore) -> None:
    put(store, "some", TRACE, ["a" * 16, "b" * 16])
    put(store, "some", OTHER, ["a" * 16, "c" * 16])
    put(store, "another", TRACE, ["a" * 16])
    touched = [("some", TRACE, "a" * 16), ("some", OTHER, "c" * 16), ("some", OTHER, "d" * 16)]
    assert join_logs(store, touched) == {("some", TRACE), ("some", OTHER)}
    assert joined(store, "some") == {(TRACE, "a" * 16), (OTHER, "c" * 16)}
    assert joined(store, "another") == set()


def test_what_another_project_has_under_the_same_ids_is_not_taken(store: ColumnarStore) -> None:
    put(store, "mine", TRACE, ["e" * 16])
    put(store, "theirs", TRACE, ["e" * 16], said="secret")
    assert join_logs(store, [("mine", TRACE, "e" * 16)]) == {("mine", TRACE)}
    found = store.select("SELECT name, input_messages FROM spans WHERE project_id = 'mine'")  # every version
    assert {row["name"] for row in found} == {"span hi"}
    assert any("hi" in str(row["input_messages"]) for row in found)
    assert not any("secret" in str(row["input_messages"]) for row in found)


def test_nothing_to_join(store: ColumnarStore) -> None:
    assert join_logs(store, [("none", TRACE, "a" * 16)]) == set()
    assert join_logs(store, []) == set()


def test_more_spans_than_go_at_once(store: ColumnarStore) -> None:
    span_ids = [f"{number:016x}" for number in range(1, SPANS_CHUNK + 11)]
    put(store, "many", TRACE, span_ids)
    assert join_logs(store, [("many", TRACE, span_id) for span_id in span_ids]) == {("many", TRACE)}
    assert len(joined(store, "many")) == len(span_ids)
