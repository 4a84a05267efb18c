"""Every decorator on every form of function: what is recorded, and that nothing else changes."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest
from opentelemetry import trace as otel_trace

import spanhouse

DECORATORS = {
    "trace": ("span", None, "work"),
    "workflow": ("workflow", "invoke_workflow", "work"),
    "agent": ("agent", "invoke_agent", "invoke_agent work"),
    "tool": ("tool", "execute_tool", "execute_tool work"),
    "task": ("task", None, "work"),
    "llm": ("llm", "chat", "chat work"),
    "retriever": ("retriever", "retrieval", "retrieval work"),
}


def current_span_id() -> str:
    return f"{otel_trace.get_current_span().get_span_context().span_id:016x}"


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("name", DECORATORS)
async def test_every_decorator_on_every_form(recorded, name, bare):
    kind, operation, span_name = DECORATORS[name]
    decorator = getattr(spanhouse, name)
    decorate = decorator if bare else decorator(attributes={"team": "blue"})

    def make_sync():
        @decorate
        def work(a, b=2):
            return {"sum": a + b}

        return work

    def make_async():
        @decorate
        async def work(a, b=2):
            await asyncio.sleep(0)
            return {"sum": a + b}

        return work

    def make_generator():
        @decorate
        def work(a, b=2):
            yield a
            yield b

        return work

    def make_async_generator():
        @decorate
        async def work(a, b=2):
            yield a
            await asyncio.sleep(0)
            yield b

        return work

    assert make_sync()(1) == {"sum": 3}
    assert await make_async()(1, b=4) == {"sum": 5}
    assert list(make_generator()(1)) == [1, 2]
    assert [item async for item in make_async_generator()(1)] == [1, 2]
    assert spanhouse.flush(60)
    assert [span.name for span in recorded.spans] == [span_name] * 4
    for span in recorded.spans:
        assert span.attributes["spanhouse.kind"] == kind
        assert span.attributes.get("gen_ai.operation.name") == operation
        assert span.attributes.get("team") == (None if bare else "blue")
        assert span.status == 0
        assert span.parent_id == ""


def test_tool_carries_the_conventions(recorded):
    @spanhouse.tool(name="weather")
    def get_weather(city: str, days: int = 1) -> dict:
        return {"city": city, "sky": "clear"}

    get_weather("Lisbon", days=3)
    spanhouse.flush(60)
    span = recorded.span("execute_tool weather")
    assert span.attributes["gen_ai.tool.name"] == "weather"
    assert span.json("gen_ai.tool.call.arguments") == {"city": "Lisbon", "days": 3}
    assert span.json("gen_ai.tool.call.result") == {"city": "Lisbon", "sky": "clear"}
    assert span.scope == "spanhouse"
    assert span.resource["service.name"] == "test"


def test_names_inputs_and_switches(recorded):
    @spanhouse.agent(name="planner", capture_input=False)
    def plan(secret):
        return "plan"

    @spanhouse.task(capture_output=False)
    def step(visible):
        return "hidden"

    plan("s3cret")
    step("shown")
    spanhouse.flush(60)
    agent, task = recorded.span("invoke_agent planner"), recorded.span("step")
    assert agent.attributes["gen_ai.agent.name"] == "planner"
    assert "spanhouse.input" not in agent.attributes
    assert agent.json("spanhouse.output") == "plan"
    assert task.json("spanhouse.input") == {"visible": "shown"}
    assert "spanhouse.output" not in task.attributes


def test_signature_name_and_nature_are_kept():
    def plain(a: int, *rest: str, flag: bool = False) -> str:
        """Doc."""

    async def coroutine(a: int) -> str: ...

    def generator(a: int):
        yield

    async def async_generator(a: int):
        yield

    for function in (plain, coroutine, generator, async_generator):
        wrapped = spanhouse.trace(function)
        assert inspect.signature(wrapped) == inspect.signature(function)
        assert (wrapped.__name__, wrapped.__doc__) == (function.__name__, function.__doc__)
        for nature in ("iscoroutinefunction", "isgeneratorfunction", "isasyncgenfunction"):
            assert getattr(inspect, nature)(wrapped) is getattr(inspect, nature)(function)


def test_methods_static_and_class_methods(recorded):
    class Shop:
        @spanhouse.tool
        def look_up(self, order):
            return order

        @spanhouse.tool
        @staticmethod
        def inner_static(order):
            return order

        @staticmethod
        @spanhouse.tool
        def outer_static(order):
            return order

        @spanhouse.tool
        @classmethod
        def by_class(cls, order):
            return cls.__name__

    assert Shop().look_up("A-1") == "A-1"
    assert Shop.inner_static("A-2") == "A-2"
    assert Shop.outer_static("A-3") == "A-3"
    assert Shop.by_class("A-4") == "Shop"
    spanhouse.flush(60)
    orders = [span.json("gen_ai.tool.call.arguments") for span in recorded.spans]
    assert orders == [{"order": f"A-{number}"} for number in (1, 2, 3, 4)]


def test_partials_and_callables(recorded):
    def power(base, exponent):
        return base**exponent

    square = spanhouse.task(name="square")(functools.partial(power, exponent=2))
    assert square(5) == 25
    spanhouse.flush(60)
    assert recorded.span("square").json("spanhouse.output") == 25


def test_what_cannot_be_decorated_says_so():
    with pytest.raises(TypeError, match="name by keyword"):
        spanhouse.tool("weather")
    with pytest.raises(TypeError, match="only functions"):
        spanhouse.tool(dict)


class OwnError(Exception):
    pass


def test_exceptions_are_recorded_and_raised_unchanged(recorded):
    error = OwnError("no such order")

    @spanhouse.tool
    def fails():
        raise error

    with pytest.raises(OwnError) as caught:
        fails()
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert current_span_id() == "0" * 16
    spanhouse.flush(60)
    span = recorded.span("execute_tool fails")
    assert span.status == 2
    assert span.attributes["error.type"].endswith("OwnError")
    assert span.message.endswith("no such order")
    ((name, event),) = span.events
    assert name == "exception"
    assert event["exception.message"] == "no such order"
    assert "in fails" in event["exception.stacktrace"]


async def test_cancelled_and_exited_calls(recorded):
    @spanhouse.task
    async def slow():
        await asyncio.sleep(30)

    @spanhouse.task
    def leaves():
        raise SystemExit(0)

    running = asyncio.create_task(slow())
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(SystemExit):
        leaves()
    spanhouse.flush(60)
    assert recorded.span("slow").status == 2
    assert recorded.span("slow").attributes["error.type"].endswith("CancelledError")
    assert recorded.span("leaves").status == 0


def test_nested_calls_are_parents_and_children(recorded):
    @spanhouse.tool
    def inner():
        return current_span_id()

    @spanhouse.workflow
    def outer():
        return inner(), current_span_id()

    inner_id, outer_id = outer()
    spanhouse.flush(60)
    parent, child = recorded.span("outer"), recorded.span("execute_tool inner")
    assert child.parent_id == parent.span_id == outer_id
    assert child.span_id == inner_id
    assert child.trace_id == parent.trace_id


def test_nothing_happens_before_init_and_after_shutdown(server):
    @spanhouse.tool
    def work():
        return current_span_id()

    assert work() == "0" * 16
    spanhouse.init(server.url, instrument=False)
    assert work() != "0" * 16
    assert spanhouse.shutdown()
    assert work() == "0" * 16
    assert len(server.spans) == 1
