"""Real clients, real instrumentors, a provider on a real socket; each in a process of its own.

Instrumentors patch their library for the whole process, hence the processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from spanhouse import _instrument
from tests.fakes.provider import FakeProvider

CALLS = """
import openai
client = openai.OpenAI(base_url=OPENAI_URL, api_key="sk-provider", max_retries=0)
messages = [{"role": "user", "content": "tell me something secret"}]

@spanhouse.workflow
def handle():
    spanhouse.set_session("s-1")
    spanhouse.set_user("u-1")
    client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    for _ in stream:
        pass
    try:
        client.chat.completions.create(model="error-400", messages=messages)
    except openai.BadRequestError:
        pass

handle()
"""
ANTHROPIC_CALL = """
import anthropic
anthropic.Anthropic(base_url=PROVIDER_URL, api_key="sk-provider").messages.create(
    model="claude-sonnet-4-5", max_tokens=50, messages=[{"role": "user", "content": "tell me something secret"}]
)
"""
OFFICIAL = """
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
OpenAIInstrumentor().instrument()
"""


@pytest.fixture(scope="module")
def provider():
    with FakeProvider() as running:
        yield running


def run(server, provider, code: str, init: str = "") -> str:
    script = (
        f"OPENAI_URL, PROVIDER_URL = {provider.openai_url!r}, {provider.url!r}\n"
        f"import spanhouse\nhandle = spanhouse.init({server.url!r}, service_name='app'{init})\n"
        "import json\nprint(json.dumps(handle.instrumented))\n" + code
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def model_spans(server):
    return [span for span in server.spans if span.scope != "spanhouse"]


def test_openai_under_openinference_is_traced_once_and_in_place(server, provider):
    out = run(server, provider, CALLS)
    instrumented = json.loads(out)
    assert instrumented["openai"] == "openinference-instrumentation-openai"
    root = server.span("handle")
    whole, streamed, failed = model_spans(server)
    assert {span.scope for span in model_spans(server)} == {"openinference.instrumentation.openai"}
    for span in (whole, streamed, failed):
        assert span.parent_id == root.span_id
        assert span.attributes["session.id"] == "s-1"
        assert span.attributes["user.id"] == "u-1"
        assert span.attributes["llm.input_messages.0.message.content"] == "tell me something secret"
    assert "You said" in whole.attributes["llm.output_messages.0.message.content"]
    assert "You said" in streamed.attributes["llm.output_messages.0.message.content"]
    assert failed.status == 2
    assert "sk-provider" not in repr(server.spans)


def test_openai_under_opentelemetrys_own(server, provider):
    run(server, provider, OFFICIAL + CALLS, init=", instrument=False")
    whole, streamed, failed = model_spans(server)
    assert "openai_v2" in whole.scope or "genai" in whole.scope
    for span in (whole, streamed):
        assert span.attributes["gen_ai.operation.name"] == "chat"
        assert span.attributes["session.id"] == "s-1"
        assert "tell me something secret" in span.attributes["gen_ai.input.messages"]
        assert "You said" in span.attributes["gen_ai.output.messages"]
        assert span.attributes["gen_ai.usage.input_tokens"] > 0
    assert failed.status == 2


def test_anthropic_is_found_too(server, provider):
    run(server, provider, ANTHROPIC_CALL)
    (span,) = model_spans(server)
    assert span.scope == "openinference.instrumentation.anthropic"
    assert span.attributes["llm.input_messages.0.message.content"] == "tell me something secret"


def test_anthropics_own_tracing_serves_where_no_instrumentation_does(server, provider):
    run(server, provider, ANTHROPIC_CALL, init=", instrument=['openai']")
    (span,) = model_spans(server)
    assert span.scope == "com.anthropic.sdk.python"
    assert "tell me something secret" in repr(span.attributes)


@pytest.mark.parametrize("setup", ["", OFFICIAL], ids=["openinference", "otel"])
@pytest.mark.parametrize("how", [", capture_content=False", ", mask=lambda key, value: '****'"], ids=["off", "mask"])
def test_content_of_automatic_spans_can_be_kept_back(server, provider, setup, how):
    init = how + (", instrument=False" if setup else "")
    run(server, provider, setup + CALLS, init=init)
    assert len(model_spans(server)) == 3
    assert "secret" not in repr(server.spans)
    assert "You said" not in repr(server.spans)
    assert "gpt-4o-mini" in repr(server.spans)


def test_only_what_is_asked_for_is_instrumented(server, provider):
    assert json.loads(run(server, provider, "", init=", instrument=['anthropic']")) == {
        "anthropic": "openinference-instrumentation-anthropic"
    }
    assert json.loads(run(server, provider, CALLS, init=", instrument=False")) == {}
    assert model_spans(server) == []


class Distribution:
    def __init__(self, name: str, author: str = "") -> None:
        from email.message import Message

        self.name, self.metadata = name, Message()
        self.metadata["Author-email"] = author


def entry(name: str, module: str, distribution: Distribution) -> EntryPoint:
    point = EntryPoint(name, f"{module}:Instrumentor", "opentelemetry_instrumentor")
    object.__setattr__(point, "dist", distribution)
    return point


def test_one_instrumentation_per_library_in_a_known_order(monkeypatch):
    traceloop = Distribution("opentelemetry-instrumentation-openai", "Gal <gal@traceloop.com>")
    official = Distribution("opentelemetry-instrumentation-openai-v2", "OpenTelemetry <cncf@lists.cncf.io>")
    inference = Distribution("openinference-instrumentation-openai", "OpenInference <oss@arize.com>")
    langchain = Distribution("opentelemetry-instrumentation-langchain", "Gal <gal@traceloop.com>")
    flask = Distribution("opentelemetry-instrumentation-flask")
    points = [
        entry("openai", "opentelemetry.instrumentation.openai", traceloop),
        entry("openai", "opentelemetry.instrumentation.openai_v2", official),
        entry("openai", "openinference.instrumentation.openai", inference),
        entry("langchain", "opentelemetry.instrumentation.langchain", langchain),
        entry("flask", "opentelemetry.instrumentation.flask", flask),
    ]

    def chosen(installed):
        monkeypatch.setattr(_instrument, "entry_points", lambda group: installed)
        return {
            library: (point.dist.name, family) for library, (point, family) in _instrument.find_instrumentors().items()
        }

    assert chosen(points) == {
        "openai": ("openinference-instrumentation-openai", "openinference"),
        "langchain": ("opentelemetry-instrumentation-langchain", "openllmetry"),
    }
    assert chosen(points[:2])["openai"] == ("opentelemetry-instrumentation-openai-v2", "otel")
    assert chosen(points[1::-1])["openai"][1] == "otel"
    assert chosen(points[:1])["openai"] == ("opentelemetry-instrumentation-openai", "openllmetry")
