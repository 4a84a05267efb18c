"""Whatever an application hands over, its own work goes on: nothing raises, and its spans are sent."""

from __future__ import annotations

import asyncio
import functools
import itertools
import pickle

import pytest

import spanhouse
from spanhouse._state import STATE


class Mute:
    """An object that fails at everything that is asked of it."""

    __hash__ = None  # type: ignore[assignment]

    def _fail(self, *args: object) -> None:
        raise ValueError("no")

    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __iter__ = __float__ = _fail  # type: ignore[assignment]


class Closed:
    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


class LyingClass:
    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("no class")


class BrokenDict(dict):
    def _fail(self, *args: object) -> None:
        raise RuntimeError("broken")

    items = keys = get = _fail  # type: ignore[assignment]


class BrokenText(str):
    def _fail(self, *args: object) -> None:
        raise RuntimeError("broken")

    __str__ = _fail  # type: ignore[assignment]


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")


#: Made anew in each test: test runners, too, ask objects for things.
HOSTILE = {
    "mute": Mute,
    "closed": Closed,
    "lying": LyingClass,
    "dict": lambda: BrokenDict(a=1),
    "text": lambda: BrokenText("x"),
    "error": MuteError,
    "number": lambda: 5,
    "nan": lambda: float("nan"),
    "bytes": lambda: b"\xff",
    "surrogate": lambda: "\ud800",
    "list of mute": lambda: [Mute()],
    "huge": lambda: 10**400,
    "type": lambda: type,
}
hostile = pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)


@hostile
@pytest.mark.parametrize("decorator", [spanhouse.trace, spanhouse.tool, spanhouse.llm, spanhouse.retriever])
def test_decorated_functions_take_and_give_anything(recorded, decorator, make):
    value = make()

    @decorator
    def call(given, *more, **named):
        return given

    @decorator
    def stream(given):
        yield given
        yield "end"

    assert call(value, 1, query=value, messages=value, model=value, tools=value, temperature=value) is value
    items = list(stream(value))
    assert items[0] is value
    assert items[1] == "end"
    assert spanhouse.flush()
    names = [span.name.removeprefix("chat ").removeprefix("execute_tool ") for span in recorded.spans]
    assert sorted(name.removeprefix("retrieval ") for name in names) == ["call", "stream"]


@hostile
def test_spans_by_hand_take_anything(recorded, make):
    value = make()
    with spanhouse.span("plain", input=value, attributes=value) as span:
        span.set_input(value)
        span.set_output(value)
        span.set_error(value)
        span.set_attribute("key", value)
        span.set_attribute(value, 1)
        span.set_attributes(value)
    with spanhouse.llm_call("model", messages=value, system=value, tools=value, parameters={"a": value}) as call:
        call.set_input(value)
        call.set_output(value)
        call.set_usage(value, value, value, value, value)
        call.set_response(value, value, value)
        call.mark_first_token(value)
    with spanhouse.span(value, kind=value), spanhouse.llm_call(value, value, operation=value, parameters=value):
        pass
    assert spanhouse.flush()
    assert {"plain", "chat model"} <= {span.name for span in recorded.spans}


@hostile
def test_context_and_scores_take_anything(recorded, make):
    value = make()
    with spanhouse.context(value, value, value, value, value, value), spanhouse.span("inside"):
        spanhouse.set_session(value)
        spanhouse.set_user(value)
        spanhouse.set_tags(value)
        spanhouse.set_metadata(key=value)
        spanhouse.set_prompt(value, value)
        spanhouse.score("quality", value, label=value, explanation=value)
    assert spanhouse.flush()
    assert recorded.span("inside").attributes


def test_half_a_character_costs_neither_its_attribute_nor_the_log(recorded, caplog):
    half = "a\ud800"

    @spanhouse.llm
    def call(model):
        return {"model": half, "id": half, "choices": [{"finish_reason": half}], "usage": {}}

    call(half)
    with spanhouse.span("plain", kind=half) as span, spanhouse.llm_call("model") as made:
        span.set_attribute(half, 1)
        made.set_response(half, half, half)
    assert spanhouse.flush()
    seen = recorded.span("chat call").attributes
    assert {seen[f"gen_ai.{name}"] for name in ("request.model", "response.model", "response.id")} == {"a?"}
    assert recorded.span("chat model").attributes["gen_ai.response.finish_reasons"] == ["a?"]
    assert recorded.span("plain").attributes["a?"] == 1
    # Logs go to files and sockets that take UTF-8 only.
    assert caplog.text.encode()


def test_a_failure_that_cannot_be_told_is_still_a_failed_span(recorded):
    @spanhouse.trace
    def fails():
        raise MuteError

    with pytest.raises(MuteError):
        fails()
    assert spanhouse.flush()
    span = recorded.span("fails")
    assert span.status == 2
    assert [(name, found["exception.type"]) for name, found in span.events] == [("exception", f"{__name__}.MuteError")]


def test_endless_tags_do_not_hold_the_application_up(recorded):
    with spanhouse.context(tags=itertools.count()), spanhouse.span("tagged"):
        pass
    assert spanhouse.flush()
    assert len(recorded.span("tagged").attributes["spanhouse.tags"]) == 100


def test_attributes_that_are_structures_become_json(recorded):
    with spanhouse.span("made", attributes={"deep": {"a": [1]}, "flat": 1}):
        pass
    assert spanhouse.flush()
    assert recorded.span("made").json("deep") == {"a": [1]}
    assert recorded.span("made").attributes["flat"] == 1


def test_what_decorated_functions_refer_to_can_be_sent_to_other_processes():
    """Ray, Dask, joblib and Spark pickle functions of ``__main__`` by value, with the globals they use."""
    assert pickle.loads(pickle.dumps(STATE)) is STATE
    described = spanhouse.span("x")._kind
    assert pickle.loads(pickle.dumps(described)) == described


def test_a_cached_function_keeps_its_methods():
    @spanhouse.trace
    @functools.lru_cache
    def double(number):
        return 2 * number

    assert double(2) == double(2) == 4
    assert double.cache_info().hits == 1
    double.cache_clear()
    assert double.cache_info().hits == 0


def test_an_object_with_an_async_call_is_recorded_until_it_answers(recorded):
    class Client:
        async def __call__(self, question):
            with spanhouse.span("inside"):
                await asyncio.sleep(0)
            return question.upper()

    assert asyncio.run(spanhouse.trace(Client(), name="client")("hi")) == "HI"
    assert spanhouse.flush()
    client = recorded.span("client")
    assert recorded.span("inside").parent_id == client.span_id
    assert client.attributes["spanhouse.output"] == "HI"
