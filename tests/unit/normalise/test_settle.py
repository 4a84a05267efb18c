"""The trace and its rows: roots, names, times, context, previews."""

from __future__ import annotations

from dataclasses import fields

import pytest

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.context import TRACE_NAME
from spanhouse_server.normalise.settle import settle
from spanhouse_server.normalise.settle_context import MAX_METADATA_KEYS, MAX_TAGS
from tests.steps import growth
from tests.unit.normalise.make import raw_span
from tests.unit.normalise.settle_facts import fact


def rows(settled):
    return {row.span_id: row for row in settled.spans}


def test_rows_keep_the_facts_and_carry_the_stamp():
    span = fact("a", name="chat", start_ns=5, end_ns=9, version=3, request_model="m", retention_days=7, kind="client")
    settled = settle("proj", [span], 77)
    (row,) = settled.spans
    for each in fields(SpanFacts):
        if each.name != "version":
            assert getattr(row, each.name) == getattr(span, each.name), each.name
    assert (row.project_id, row.version, row.is_deleted, row.duration_ns, row.model) == ("proj", 77, 0, 4, "m")
    assert (settled.trace.project_id, settled.trace.version, settled.trace.is_deleted) == ("proj", 77, 0)


def test_no_facts_is_the_callers_mistake():
    with pytest.raises(ValueError, match="at least one span"):
        settle("p", [], 1)


def test_newest_version_of_a_span_holds():
    old, new = fact("a", name="old", version=1), fact("a", name="new", version=2)
    for order in ([old, new], [new, old]):
        settled = settle("p", order, 9)
        assert [row.name for row in settled.spans] == ["new"]
        assert settled.trace.span_count == 1


@pytest.mark.parametrize(
    ("facts", "name", "root_span_id", "roots"),
    [
        ([fact("a", name="A"), fact("b", "a", name="B", start_ns=1)], "A", "a", {"a"}),
        ([fact("b", "gone", name="B", start_ns=1), fact("a", name="A")], "A", "a", {"a", "b"}),
        ([fact("b", "gone", name="B"), fact("c", "b", name="C")], "B", "", {"b"}),
        ([fact("b", "gone", name="B"), fact("c", "lost", name="C", start_ns=1)], "C", "", {"b", "c"}),
        ([fact("b", name="B"), fact("c", name="C", start_ns=1)], "C", "c", {"b", "c"}),
        ([fact("a", "a", name="A")], "A", "", {"a"}),
        ([fact("a", "b", name="A"), fact("b", "a", name="B", start_ns=1)], "B", "", {"b"}),
        ([fact("a", "b", name="A"), fact("b", "c"), fact("c", "a"), fact("d", "c", start_ns=1)], "A", "", {"a"}),
    ],
)
def test_roots(facts, name, root_span_id, roots):
    settled = settle("p", facts, 1)
    assert (settled.trace.name, settled.trace.root_span_id) == (name, root_span_id)
    assert {row.span_id for row in settled.spans if row.is_root} == roots


def test_a_name_given_to_the_whole_trace_wins():
    told = {"langfuse.trace.name": "checkout", f"langfuse.trace.metadata.{TRACE_NAME}": "never mind"}
    named = normalise(raw_span(told))
    assert named.metadata[TRACE_NAME] == "checkout"
    facts = [fact("a", name="root"), fact("b", "a", name="step", start_ns=1, metadata=named.metadata)]
    settled = settle("p", facts, 1)
    assert (settled.trace.name, settled.trace.root_span_id) == ("checkout", "a")
    assert {row.name for row in settled.spans} == {"root", "step"}


def test_times_counts_and_status():
    facts = [
        fact("a", status_code="ok", start_ns=100, end_ns=500, received_at=3, retention_days=5),
        fact("b", "a", status_code="error", error_type="Timeout", start_ns=90, end_ns=800, received_at=9),
    ]
    trace = settle("p", facts, 1).trace
    assert (trace.start_ns, trace.end_ns, trace.duration_ns) == (90, 800, 710)
    assert (trace.status_code, trace.error_count, trace.error_types) == ("ok", 1, ["Timeout"])
    assert (trace.received_at, trace.retention_days, trace.span_count) == (9, 30, 2)


def test_keeping_for_ever_wins():
    assert settle("p", [fact("a", retention_days=0), fact("b", retention_days=9)], 1).trace.retention_days == 0


def test_missing_times_are_no_beginning_and_no_negative_duration():
    settled = settle("p", [fact("a", start_ns=0, end_ns=0), fact("b", "a", start_ns=700, end_ns=600)], 1)
    assert (settled.trace.start_ns, settled.trace.end_ns, settled.trace.duration_ns) == (700, 700, 0)
    assert {row.duration_ns for row in settled.spans} == {0}
    alone = settle("p", [fact("a", start_ns=0, end_ns=0)], 1).trace
    assert (alone.start_ns, alone.duration_ns) == (0, 0)


def test_context_of_any_span_serves_the_trace_and_own_values_stay():
    facts = [
        fact("root", start_ns=1),
        fact("late", "root", start_ns=30, session_id="s2", user_id="u2", release="r"),
        fact("early", "root", start_ns=20, session_id="s1", environment="prod"),
    ]
    settled = settle("p", facts, 1)
    assert (settled.trace.session_id, settled.trace.user_id) == ("s1", "u2")
    got = rows(settled)
    assert (got["root"].session_id, got["root"].user_id, got["root"].environment, got["root"].release) == (
        "s1",
        "u2",
        "prod",
        "r",
    )
    assert (got["late"].session_id, got["early"].session_id) == ("s2", "s1")


def test_the_root_speaks_first_even_when_it_starts_later():
    facts = [fact("child", "root", start_ns=1, session_id="child's"), fact("root", start_ns=5, session_id="root's")]
    assert settle("p", facts, 1).trace.session_id == "root's"


def test_tags_are_the_union_and_metadata_merges_by_key():
    facts = [
        fact("root", start_ns=5, tags=["b", "a"], metadata={"k": "root"}),
        fact("x", "root", start_ns=3, tags=["c", "a"], metadata={"k": "x", "own": "1"}),
        fact("y", "root", start_ns=9),
    ]
    settled = settle("p", facts, 1)
    assert settled.trace.tags == ["c", "a", "b"]
    assert settled.trace.metadata == {"k": "root", "own": "1"}
    got = rows(settled)
    assert got["y"].tags == ["c", "a", "b"]
    assert got["x"].metadata == {"k": "x", "own": "1"}
    assert got["y"].metadata == {"k": "root", "own": "1"}


def test_prompt_serves_the_spans_below_it():
    facts = [
        fact("root"),
        fact("f", "root", prompt_name="greet", prompt_version="2"),
        fact("call", "f"),
        fact("other", "f", prompt_name="mine"),
        fact("aside", "root"),
    ]
    settled = settle("p", facts, 1)
    assert {row.span_id: (row.prompt_name, row.prompt_version) for row in settled.spans} == {
        "root": ("", ""),
        "f": ("greet", "2"),
        "call": ("greet", "2"),
        "other": ("mine", ""),
        "aside": ("", ""),
    }
    assert settled.trace.prompt_names == ["greet", "mine"]


def test_previews():
    question = fact("q", "r", category="llm", start_ns=10, end_ns=90, input_preview="q in", output_preview="q out")
    answer = fact("a", "r", category="llm", start_ns=20, end_ns=95, input_preview="a in", output_preview="a out")
    tool = fact("t", "r", category="tool", start_ns=1, end_ns=99, input_preview="t in", output_preview="t out")
    root = fact("r", start_ns=1, input_preview="r in")
    assert previews(root, question, answer, tool) == ("r in", "a out")
    assert previews(fact("r", start_ns=1), question, answer, tool) == ("q in", "a out")
    assert previews(fact("r", start_ns=1), tool) == ("t in", "t out")
    assert previews(fact("r")) == ("", "")


def previews(*facts):
    trace = settle("p", list(facts), 1).trace
    return trace.input_preview, trace.output_preview


def test_lists_are_sorted_and_unique():
    facts = [
        fact("a", category="agent", agent_name="z", request_model="alias", service_name="web", dialect="otel"),
        fact("b", "a", category="llm", request_model="m", response_model="m-1", provider="openai", operation="chat"),
        fact(
            "c", "a", category="llm", request_model="m", provider="anthropic", operation="chat", ttft_ns=8, start_ns=50
        ),
        fact("d", "a", category="llm", request_model="m", ttft_ns=5, start_ns=60, service_name="api"),
        fact("e", "a", category="tool", tool_name="search", dialect="openinference"),
    ]
    trace = settle("p", facts, 1).trace
    assert trace.models == ["m", "m-1"]
    assert trace.providers == ["anthropic", "openai"]
    assert trace.categories == ["agent", "llm", "tool"]
    assert (trace.operations, trace.services) == (["chat"], ["api", "web"])
    assert (trace.tool_names, trace.agent_names) == (["search"], ["z"])
    assert trace.dialects == ["openinference", "otel"]
    assert (trace.ttft_ns, trace.llm_count) == (8, 3)


def test_what_spreads_is_bounded():
    facts = [fact(f"{n:05}", metadata={f"k{n}": "v"}, tags=[f"t{n}"]) for n in range(500)]
    settled = settle("p", facts, 1)
    assert (len(settled.trace.metadata), len(settled.trace.tags)) == (MAX_METADATA_KEYS, MAX_TAGS)
    last = settled.spans[-1]
    assert last.metadata["k499"] == "v"
    assert "t499" in last.tags
    assert max(len(row.metadata) for row in settled.spans) == MAX_METADATA_KEYS + 1


@pytest.mark.parametrize("shape", ["chain", "chain in bad order", "star", "circle", "one response id", "own keys"])
def test_huge_traces_take_linear_time(shape):
    def parent(n, size):
        if shape in ("star", "one response id", "own keys"):
            return "0" if n else ""
        return str((n - 1) % size) if n or shape == "circle" else ""

    def facts(size):
        return [
            fact(
                str(n),
                parent(n, size),
                start_ns=size - n if shape == "chain in bad order" else n + 1,
                category="llm",
                input_tokens=n,
                response_id="always" if shape == "one response id" else "",
                metadata={f"k{n}": "v"} if shape == "own keys" else {},
                prompt_name="" if n else "p",
            )
            for n in range(size)
        ]

    def settling(size):
        given = facts(size)
        return lambda: settle("p", given, 1)

    assert growth(settling, 250, 2000) < 1.2
    size = 20_000  # far beyond what recursion would bear
    settled = settle("p", facts(size), 1)
    assert settled.trace.span_count == size
    if "chain" in shape:
        assert [row.span_id for row in settled.spans if row.counted] == [str(size - 1)]
