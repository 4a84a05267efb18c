"""Content stays at home when asked, and a mask sees everything that leaves."""

from __future__ import annotations

import json

import pytest
from opentelemetry import trace as otel_trace
from opentelemetry._logs import LogRecord, get_logger

import spanhouse
from spanhouse import _logs
from spanhouse._content import is_content

FOREIGN = {
    "input.value": "my secret",
    "llm.input_messages.0.message.content": "my secret",
    "gen_ai.prompt.0.content": "my secret",
    "gen_ai.prompt.name": "greeting",
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"my secret"}]}]',
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 12,
    "session.id": "s-1",
    "acme.unknown.payload": '{"text": "my secret"}',
}


def record_everything():
    tracer = otel_trace.get_tracer("openinference.instrumentation.openai")

    @spanhouse.tool
    def pay(card):
        return f"paid with {card}"

    with tracer.start_as_current_span("foreign", attributes=FOREIGN) as span:
        span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": "my secret"})
        with pytest.raises(ValueError):
            raise_recorded()
        pay("my secret")
        with spanhouse.llm_call("m", messages="my secret") as call:
            call.set_output("my secret")
        get_logger("openai").emit(
            LogRecord(
                event_name="gen_ai.user.message", body={"content": "my secret"}, attributes={"gen_ai.system": "openai"}
            )
        )
    spanhouse.score("helpful", 1, explanation="my secret", trace_id="0" * 31 + "1")
    assert spanhouse.flush(60)


@spanhouse.task
def raise_recorded():
    raise ValueError("my secret was wrong")


def test_capture_content_off_keeps_content_in_the_process(server):
    _logs.install()
    spanhouse.init(server.url, capture_content=False, instrument=False)
    record_everything()
    foreign = server.span("foreign")
    kept = {"gen_ai.prompt.name", "llm.model_name", "llm.token_count.prompt", "session.id", "acme.unknown.payload"}
    assert set(foreign.attributes) == kept
    assert foreign.events == [("gen_ai.content.prompt", {})]
    tool, call = server.span("execute_tool pay"), server.span("chat m")
    assert set(tool.attributes) == {"gen_ai.operation.name", "gen_ai.tool.name", "spanhouse.kind"}
    assert set(call.attributes) == {"gen_ai.operation.name", "gen_ai.request.model", "spanhouse.kind"}
    (log,) = server.logs
    assert not log.body.WhichOneof("value")


def test_the_mask_sees_everything_that_leaves(server):
    _logs.install()

    def mask(key, value):
        return json.loads(json.dumps(value).replace("my secret", "****"))

    spanhouse.init(server.url, mask=mask, instrument=False)
    record_everything()
    everything = repr(server.spans) + repr(server.logs) + repr(server.scores)
    assert "my secret" not in everything
    assert server.span("foreign").attributes["input.value"] == "****"
    assert server.span("foreign").attributes["llm.token_count.prompt"] == 12
    assert server.span("foreign").attributes["gen_ai.prompt.name"] == "greeting"
    assert server.span("execute_tool pay").json("gen_ai.tool.call.result") == "paid with ****"
    assert server.scores[0]["explanation"] == "****"
    failed = server.span("raise_recorded")
    assert failed.message == "ValueError: **** was wrong"
    assert failed.events[0][1]["exception.message"] == "**** was wrong"
    assert "****" in failed.events[0][1]["exception.stacktrace"]


def test_a_failing_mask_lets_nothing_through(server, warnings):
    def mask(key, value):
        raise RuntimeError(f"cannot mask {value}")

    spanhouse.init(server.url, mask=mask, instrument=False)
    record_everything()
    assert "my secret" not in repr(server.spans)
    assert "my secret" not in warnings.text
    assert server.span("foreign").attributes["input.value"] == "[mask failed]"
    assert server.span("foreign").attributes["llm.model_name"] == "gpt-4o"
    assert len(warnings.records) == 1


@pytest.mark.parametrize("result", [None, {"a": [1]}, object(), ["a", 1], 5, b"x"])
def test_a_mask_may_return_anything(server, result):
    spanhouse.init(server.url, mask=lambda key, value: result, instrument=False)
    with spanhouse.span("x", input="in"):
        pass
    assert spanhouse.flush(60)
    assert len(server.spans) == 1


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("gen_ai.output.messages", True),
        ("llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", True),
        ("gen_ai.completion.3.content", True),
        ("retrieval.documents.0.document.content", True),
        ("ai.response.text", True),
        ("gen_ai.prompt.version", False),
        ("gen_ai.usage.input_tokens", False),
        ("ai.operationId", False),
        ("llm.invocation_parameters", False),
    ],
)
def test_what_counts_as_content(key, content):
    assert is_content(key) is content
