"""Session, user, tags, metadata and prompt: whom they reach and where they end."""

from __future__ import annotations

import asyncio
import contextvars
import threading

from opentelemetry import trace as otel_trace

import spanhouse


def test_set_calls_reach_this_and_following_spans_of_the_trace(recorded):
    @spanhouse.tool
    def tool():
        pass

    @spanhouse.workflow
    def handle():
        spanhouse.set_session("s-1")
        spanhouse.set_user("u-1")
        spanhouse.set_tags("beta", "vip")
        spanhouse.set_tags("vip", "eu")
        spanhouse.set_metadata(plan="pro", seats=3, nested={"a": [1]}, nothing=None)
        spanhouse.set_prompt("greeting", 7)
        tool()

    handle()
    tool()
    spanhouse.flush(60)
    inside, after = [span for span in recorded.spans if span.name == "execute_tool tool"]
    for span in (recorded.span("handle"), inside):
        assert span.attributes["session.id"] == span.attributes["gen_ai.conversation.id"] == "s-1"
        assert span.attributes["user.id"] == "u-1"
        assert span.attributes["spanhouse.tags"] == ["beta", "vip", "eu"]
        assert span.attributes["spanhouse.metadata.plan"] == "pro"
        assert span.attributes["spanhouse.metadata.seats"] == 3
        assert span.json("spanhouse.metadata.nested") == {"a": [1]}
        assert "spanhouse.metadata.nothing" not in span.attributes
        assert span.attributes["gen_ai.prompt.name"] == "greeting"
        assert span.attributes["gen_ai.prompt.version"] == "7"
    assert "session.id" not in after.attributes


def test_context_block_reaches_foreign_spans_and_ends(recorded):
    tracer = otel_trace.get_tracer("some.instrumentation")
    with spanhouse.context(session="s-2", user="u-2", tags=["a"], metadata={"k": 1}, prompt="p", prompt_version="2"):
        with tracer.start_as_current_span("foreign"):
            pass
        with spanhouse.context(user="u-3"), tracer.start_as_current_span("nested"):
            pass
    with tracer.start_as_current_span("outside"):
        pass
    spanhouse.flush(60)
    foreign = recorded.span("foreign").attributes
    assert (foreign["session.id"], foreign["user.id"], foreign["spanhouse.tags"]) == ("s-2", "u-2", ["a"])
    assert (foreign["spanhouse.metadata.k"], foreign["gen_ai.prompt.name"]) == (1, "p")
    assert recorded.span("nested").attributes["user.id"] == "u-3"
    assert recorded.span("nested").attributes["session.id"] == "s-2"
    assert recorded.span("outside").attributes == {}


async def test_tasks_inherit_and_do_not_disturb_each_other(recorded):
    @spanhouse.tool
    async def look_up(user):
        await asyncio.sleep(0.01)
        return user

    @spanhouse.workflow
    async def handle(user):
        spanhouse.set_user(user)
        await asyncio.gather(*(asyncio.create_task(look_up(user)) for _ in range(3)))

    await asyncio.gather(*(handle(f"u-{number}") for number in range(5)))
    spanhouse.flush(60)
    roots = {span.trace_id: span for span in recorded.spans if span.name == "handle"}
    tools = [span for span in recorded.spans if span.name == "execute_tool look_up"]
    assert len(roots) == 5
    assert len(tools) == 15
    for span in tools:
        root = roots[span.trace_id]
        assert span.parent_id == root.span_id
        assert span.attributes["user.id"] == root.attributes["user.id"] == span.json("gen_ai.tool.call.result")


def test_threads_need_a_copied_context_as_in_opentelemetry(recorded):
    @spanhouse.task
    def step(name):
        pass

    @spanhouse.workflow
    def handle():
        alone = threading.Thread(target=step, args=("alone",))
        carried = threading.Thread(target=contextvars.copy_context().run, args=(step, "carried"))
        for thread in (alone, carried):
            thread.start()
            thread.join()

    handle()
    spanhouse.flush(60)
    steps = {span.json("spanhouse.input")["name"]: span for span in recorded.spans if span.name == "step"}
    assert steps["alone"].parent_id == ""
    assert steps["carried"].parent_id == recorded.span("handle").span_id


def test_a_generator_keeps_what_its_body_set_and_tells_nobody(recorded):
    @spanhouse.task
    def stream():
        spanhouse.set_session("from-body")
        yield 1
        with spanhouse.span("later"):
            yield 2

    with spanhouse.span("consumer"):
        for _ in stream():
            with spanhouse.span("between"):
                pass
    spanhouse.flush(60)
    assert recorded.span("later").attributes["session.id"] == "from-body"
    assert all("session.id" not in span.attributes for span in recorded.spans if span.name == "between")


def test_sampling_decides_once_per_trace(server):
    spanhouse.init(server.url, instrument=False, sample_rate=0.5)
    foreign = otel_trace.get_tracer("some.instrumentation")

    @spanhouse.tool
    def tool():
        with foreign.start_as_current_span("foreign"):
            pass

    @spanhouse.workflow
    def handle():
        tool()
        with spanhouse.span("by hand"):
            pass

    for _ in range(200):
        handle()
    spanhouse.flush(60)
    traces = {span.trace_id for span in server.spans}
    assert 60 < len(traces) < 140
    assert len(server.spans) == 4 * len(traces)


def test_nothing_is_recorded_at_rate_zero_and_the_work_is_done(server):
    spanhouse.init(server.url, instrument=False, sample_rate=0.0)
    foreign = otel_trace.get_tracer("some.instrumentation")
    seen = []

    @spanhouse.task
    def generator():
        with foreign.start_as_current_span("foreign") as span:
            seen.append(span.get_span_context())
            yield 1

    @spanhouse.workflow
    def handle():
        context = otel_trace.get_current_span().get_span_context()
        assert context.is_valid
        assert not context.trace_flags.sampled
        list(generator())
        assert spanhouse.score("up", 1) is None
        with spanhouse.llm_call("m") as call:
            call.set_output("text")
            assert call.trace_id == ""
        return context.trace_id

    trace_id = handle()
    list(generator())
    spanhouse.flush(60)
    assert server.spans == []
    assert seen[0].trace_id == trace_id
    assert not any(context.trace_flags.sampled for context in seen)
