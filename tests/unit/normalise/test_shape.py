"""What is worked out once per set of keys must be what looking at each span would say."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.normalise import shape
from spanhouse_server.normalise.dialects import DIALECTS, MAX_SCOPES, dialect_of
from spanhouse_server.normalise.dialects.haystack import SPANS
from spanhouse_server.normalise.shape import shape_of
from spanhouse_server.normalise.view import View, indexed
from tests.golden.case import all_cases, records
from tests.unit.normalise.make import event, log, raw_span

#: Attributes that tell a dialect, some of them only with one value.
MARKERS: dict[str, list[Any]] = {
    "ai.operationId": ["ai.generateText", 5],
    "ai.settings.context.a": ["b"],
    "claude": [1],
    "crewai.crew.name": ["c"],
    "gcp.vertex.agent.a": ["b"],
    "gen_ai.agent.call.id": ["c"],
    "gen_ai.latency.e2e": [1.0],
    "gen_ai.operation.name": ["chat", "agent_step", None],
    "gen_ai.prompt.0.role": ["user"],
    "gen_ai.provider.name": ["openai", "strands-agents"],
    "gen_ai.sdk.version": ["1", None],
    "gen_ai.system": ["openai", "strands-agents", ["x"]],
    "genkit:type": ["action"],
    "hidden_params": ["{}"],
    "langfuse.observation.type": ["span"],
    "langfuse.trace.name": ["t"],
    "langsmith.span.kind": ["llm"],
    "lk.a": [1],
    "llm.request.type": ["chat"],
    "mcp.method.name": ["tools/call"],
    "mlflow.spanType": ['"LLM"'],
    "openinference.span.kind": ["LLM"],
    "operation.name": ["ai.embed", "else", 3],
    "pydantic_ai.a": [1],
    "queue_time": ["1ms"],
    "request_data": ["{}"],
    "response_data": ["{}"],
    "inference_time": ["1ms"],
    "sk.available_functions": ["f"],
    "span.type": ["tool", "claude_code.tool", 1],
    "spanhouse.kind": ["tool"],
    "spring.ai.kind": ["advisor"],
    "telemetry.sdk.name": ["openlit", "opentelemetry"],
    "triton.model_name": ["m"],
}
SCOPES = (
    *("", "ai", "gen_ai", "claude_code", "haystack", "langfuse-sdk", "litellm.a", "logfire.openai", "openlit.x"),
    *("openinference.instrumentation.openai", "strands.telemetry.tracer", "vllm.a", "pydantic-ai", "mlflow.x"),
)
NAMES = ("chat", "claude_code.tool", *SPANS)


def first_that_matches(view: View) -> str:
    return next(dialect.name for dialect in DIALECTS if dialect.matches(view))


def marked_view(chance: Random) -> View:
    """Return a span with some markers, in some scope, under some name."""
    keys = chance.sample(sorted(MARKERS), chance.randrange(5))
    events = chance.choice([[], [event("gen_ai.choice")], [event("other")]])
    attributes = {key: chance.choice(MARKERS[key]) for key in keys}
    raw = raw_span(attributes, name=chance.choice(NAMES), scope=chance.choice(SCOPES), events=events)
    return View(raw, chance.choice([[], [log("gen_ai.choice")]]))


@given(seed=st.integers(0, 2**32))
def test_the_dialect_is_the_first_that_matches(seed: int) -> None:
    chance = Random(seed)
    for _ in range(50):
        view = marked_view(chance)
        assert dialect_of(view).name == first_that_matches(view)


@pytest.mark.parametrize("case", all_cases())
def test_the_dialect_of_recorded_spans_is_the_first_that_matches(case: str) -> None:
    for raw in records(case)[0]:
        view = View(raw)
        assert dialect_of(view).name == first_that_matches(view)


def test_equal_keys_share_a_shape_and_other_orders_do_not() -> None:
    assert shape_of({"a.b": 1, "c": 2}) is shape_of(["a.b", "c"])
    assert shape_of({"c": 2, "a.b": 1}).keys == ("c", "a.b")


@given(st.lists(st.sampled_from([*MARKERS, "gen_ai.prompt", "a.api_key", "cookie", ""]), unique=True))
def test_a_shape_tells_twice_what_its_keys_say(keys: list[str]) -> None:
    found, secret = shape_of(keys), {"a.api_key", "cookie"}
    for _ in range(2):
        assert found.among(frozenset(keys[::2])) == tuple(keys[::2])
        assert found.among(frozenset({"absent"})) == ()
        for prefix in ("gen_ai.", "gen_ai.pro", "gen", "langfuse.trace.", ""):
            assert found.family(prefix) == tuple(key for key in keys if key.startswith(prefix))
        assert found.names_secret == (not secret.isdisjoint(keys))


def test_shapes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape, "_shapes", {})
    monkeypatch.setattr(shape, "_weight", 0)
    monkeypatch.setattr(shape, "MAX_WEIGHT", 1000)
    for number in range(35):
        assert shape_of([f"key.{number}"]).roots == {"key"}
        assert len(shape._shapes) <= 1000 // shape.KEY_WEIGHT
        assert shape._weight <= 1000
    for keys in ([f"key.{number}" for number in range(1000)], ["k" * shape.MAX_SHAPE_WEIGHT]):
        assert shape_of(keys).family("k") == tuple(keys)
        assert tuple(keys) not in shape._shapes


def test_what_a_shape_remembers_of_scopes_is_bounded() -> None:
    attributes = {"bounded.scopes": 1}
    for number in range(3 * MAX_SCOPES):
        assert dialect_of(View(raw_span(attributes, scope=f"scope-{number}"))).name == "generic"
        assert len(shape_of(attributes).plans) <= MAX_SCOPES


def test_groups_and_indices_are_found_again() -> None:
    for value in (1, 2):
        view = View(raw_span({"llm.in.1.a": value, "llm.in.0.a": 0, "llm": 9, "llm.in.x": 8, "llm.in.1.b": 7}))
        assert view.groups("llm") == {"in": {"1.a": value, "0.a": 0, "x": 8, "1.b": 7}}
        assert indexed(view.groups("llm")["in"]) == [{"a": 0}, {"a": value, "b": 7}]
