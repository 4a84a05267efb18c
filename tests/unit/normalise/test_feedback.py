"""Judgements in telemetry become scores on the right span, the same ones however often they come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.model.feedback import Feedback
from spanhouse_server.model.raw import RawEvent, RawLink, RawLog, RawSpan, Scope
from spanhouse_server.normalise.feedback import MAX_PER_SPAN, log_feedback, span_feedback
from spanhouse_server.store import rows

TRACE, SPAN, PARENT = "1" * 32, "2" * 16, "3" * 16
JUDGED = RawLink("a" * 32, "b" * 16)
TIME_NS = 1_768_478_400_000_000_000


def span(attributes: dict[str, Any], **more: Any) -> RawSpan:
    given = {"events": [], "links": [], "resource": {}, "scope": Scope("tests")}
    return RawSpan(TRACE, SPAN, PARENT, "s", "internal", TIME_NS, TIME_NS + 5, "unset", "", attributes, **given | more)


def log(event_name: str, attributes: dict[str, Any], body: Any = None, **more: Any) -> RawLog:
    ids = {"trace_id": TRACE, "span_id": SPAN} | more
    return RawLog(TIME_NS, TIME_NS, 9, "INFO", event_name, body, attributes, {}, Scope("tests"), **ids)


def annotation(prefix: str = "annotations.0.annotation", **fields: Any) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in fields.items()}


def only(found: list[Feedback]) -> Feedback:
    assert len(found) == 1
    return found[0]


FULL = annotation(name="hallucination", score=1, label="made up", explanation="no source", annotator_kind="LLM")


def test_openinference_on_the_span_itself() -> None:
    found = only(span_feedback(span(FULL)))
    assert (found.trace_id, found.span_id, found.session_id) == (TRACE, SPAN, "")
    assert (found.name, found.value, found.label, found.explanation) == ("hallucination", 1.0, "made up", "no source")
    assert (found.source, found.created_ns) == ("judge", TIME_NS + 5)


@pytest.mark.parametrize(
    ("prefix", "target"),
    [
        ("annotations.0.annotation", (JUDGED.trace_id, JUDGED.span_id, "")),
        ("evaluations.0.evaluation", (JUDGED.trace_id, JUDGED.span_id, "")),
        ("trace.annotations.0.annotation", (JUDGED.trace_id, "", "")),
        ("trace.evaluations.0.evaluation", (JUDGED.trace_id, "", "")),
        ("session.annotations.0.annotation", ("", "", "s-1")),
        ("session.evaluations.0.evaluation", ("", "", "s-1")),
    ],
)
def test_openinference_after_the_fact(prefix: str, target: tuple[str, str, str]) -> None:
    attributes = annotation(prefix, name="good", score=0.5, annotator_kind="HUMAN") | {"session.id": "s-1"}
    found = only(span_feedback(span(attributes, links=[JUDGED])))
    assert (found.trace_id, found.span_id, found.session_id) == target
    assert found.source == "human"


def test_of_two_links_none_is_the_target() -> None:
    found = only(span_feedback(span(FULL, links=[JUDGED, RawLink("c" * 32, "d" * 16)])))
    assert (found.trace_id, found.span_id) == (TRACE, SPAN)


def test_a_session_without_an_id_is_no_target() -> None:
    assert span_feedback(span(annotation("session.annotations.0.annotation", name="a", score=1))) == []


def test_many_on_one_span_are_bounded() -> None:
    attributes: dict[str, Any] = {}
    for index in range(MAX_PER_SPAN + 50):
        attributes |= annotation(f"annotations.{index}.annotation", name=f"n{index}", score=index)
    attributes |= annotation("annotations.999999999.annotation", name="far", score=1)
    assert [each.value for each in span_feedback(span(attributes))] == [float(n) for n in range(MAX_PER_SPAN)]


@pytest.mark.parametrize(
    ("value", "number", "label"),
    [(0.8, 0.8, ""), (3, 3.0, ""), (True, 1.0, ""), (False, 0.0, ""), ("kind", None, "kind")],
)
def test_logfire_judges_its_parent(value: Any, number: float | None, label: str) -> None:
    attributes = {"logfire.feedback.name": "tone", "tone": value, "logfire.feedback.comment": "quite"}
    found = only(span_feedback(span(attributes)))
    assert (found.trace_id, found.span_id) == (TRACE, PARENT)
    assert (found.name, found.value, found.label, found.explanation, found.source) == (
        "tone", number, label, "quite", "human")  # fmt: skip


EVALUATION = {
    "gen_ai.evaluation.name": "Relevance",
    "gen_ai.evaluation.score.value": 0.25,
    "gen_ai.evaluation.score.label": "fail",
    "gen_ai.evaluation.explanation": "off topic",
    "gen_ai.response.id": "resp-1",
}


def test_evaluation_events_on_a_span() -> None:
    events = [RawEvent("gen_ai.evaluation.result", TIME_NS + n, EVALUATION) for n in range(2)]
    first, second = span_feedback(span({}, events=[RawEvent("other", TIME_NS), *events]))
    assert (first.trace_id, first.span_id, first.response_id) == (TRACE, SPAN, "")
    assert (first.name, first.value, first.label, first.explanation, first.source) == (
        "Relevance", 0.25, "fail", "off topic", "judge")  # fmt: skip
    assert first.score_id != second.score_id


def test_evaluation_events_as_log_records() -> None:
    found = only(log_feedback(log("gen_ai.evaluation.result", EVALUATION)))
    assert (found.trace_id, found.span_id, found.value) == (TRACE, SPAN, 0.25)
    of_body = only(log_feedback(log("gen_ai.evaluation.result", {}, EVALUATION)))
    assert of_body.value == 0.25
    unknown = only(log_feedback(log("gen_ai.evaluation.result", EVALUATION, trace_id="", span_id="")))
    assert unknown.response_id == "resp-1"
    # Ids are read as those of spans are, so that the two can meet.
    number = only(log_feedback(log("gen_ai.evaluation.result", EVALUATION | {"gen_ai.response.id": 7}, span_id="")))
    assert number.response_id == "7"


def test_langfuse_scores() -> None:
    own = {"langfuse.id": "score-1"}
    found = only(log_feedback(log("langfuse.score-create", own, {"name": "helpful", "value": 0.9, "comment": "good"})))
    assert (found.trace_id, found.span_id, found.name, found.value) == (TRACE, SPAN, "helpful", 0.9)
    assert (found.explanation, found.source) == ("good", "sdk")
    label = only(log_feedback(log("langfuse.score-create", own, {"name": "helpful", "value": "yes"})))
    assert (label.value, label.label, label.score_id) == (None, "yes", found.score_id)
    text = {"name": "note", "value": "a long remark", "dataType": "TEXT", "source": "ANNOTATION"}
    noted = only(log_feedback(log("langfuse.score-create", own, text)))
    assert (noted.label, noted.explanation, noted.source) == ("text", "a long remark", "human")
    session = {"name": "csat", "value": 4, "sessionId": "s-9"}
    of_session = only(log_feedback(log("langfuse.score-create", own, session, trace_id="", span_id="")))
    assert (of_session.trace_id, of_session.session_id) == ("", "s-9")


def test_the_same_carrier_gives_the_same_score() -> None:
    assert span_feedback(span(FULL)) == span_feedback(span(dict(FULL)))
    identified = FULL | annotation(identifier="judge-v2")
    first = only(span_feedback(span(identified, links=[JUDGED])))
    again = only(span_feedback(RawSpan(**{**_fields(span(identified, links=[JUDGED])), "span_id": "9" * 16})))
    assert first.score_id == again.score_id, "an identifier names the result, whatever span carries it"
    one, two = (log("gen_ai.evaluation.result", EVALUATION | {"openlit.score.idempotency_key": "k"}) for _ in range(2))
    two.time_ns += 7
    assert only(log_feedback(one)).score_id == only(log_feedback(two)).score_id


def _fields(raw: RawSpan) -> dict[str, Any]:
    return {name: getattr(raw, name) for name in RawSpan.__dataclass_fields__}


@pytest.mark.parametrize(
    "attributes",
    [
        annotation(score=1),
        annotation(name="  ", score=1),
        annotation(name="nothing said"),
        annotation(name="nan", score=float("nan")),
        annotation(name="too much", score=1e300),
        annotation(name="words", score="many"),
        {"logfire.feedback.name": ["list"], "list": 1},
        {"logfire.feedback.name": "gone"},
    ],
)
def test_what_says_nothing_is_no_score(attributes: dict[str, Any]) -> None:
    assert span_feedback(span(attributes)) == []


def test_names_and_texts_are_made_to_fit() -> None:
    given = annotation(name="Qualité/é!" + "x" * 200, score="0.5", label="l" * 900, explanation="e" * 90_000)
    found = only(span_feedback(span(given)))
    assert found.name.startswith("Qualit_/__xxx")
    assert (len(found.name), len(found.label), len(found.explanation), found.value) == (100, 200, 20_000, 0.5)
    assert only(span_feedback(span(annotation(name="-1st", score=1)))).name == "_1st"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [*FULL, *EVALUATION, "logfire.feedback.name", "logfire.feedback.comment", "session.id", "langfuse.id", "openlit.score.idempotency_key",
     "trace.annotations.0.annotation.name", "trace.annotations.0.annotation.label", "name", "value", "comment", "dataType"]
)  # fmt: skip


@given(
    st.dictionaries(KEYS, VALUES, max_size=12),
    VALUES,
    st.sampled_from(["gen_ai.evaluation.result", "langfuse.score-create"]),
)
def test_confused_types_never_raise_and_always_fit_a_row(attributes: dict[str, Any], body: Any, event: str) -> None:
    carrier = span(attributes, events=[RawEvent("gen_ai.evaluation.result", TIME_NS, attributes)], links=[JUDGED])
    found = [
        *span_feedback(carrier),
        *log_feedback(log(event, attributes, body)),
        *log_feedback(log(event, {}, attributes)),
    ]
    for each in found:
        assert each.name
        assert each.value is None or abs(each.value) <= 1e15
        assert rows.dump(rows.score_row("default", TIME_NS, 0, each))
