"""Whole runs of agents and pipelines: what each step says beside what the provider served and the tool did.

The counted tokens of every case, and their price, are held to the provider's books in ``test_golden``.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanhouse_server.model.span import Span
from tests.golden.case import spans_of, truth_of, words

QUESTION = "What is the weather in Paris?"
WEATHER = "It is 21 degrees in Paris."
#: Agents that tell what was said, by the category of the span around it all.
TALKATIVE = {
    "adk_latest_agent": "workflow",
    "agent_framework_agent": "agent",
    "crewai_crew": "workflow",
    "crewai_own_crew": "workflow",
    "genkit_agent": "workflow",
    "haystack_agent": "agent",
    "livekit_agent": "workflow",
    "strands_agent": "agent",
    "strands_latest_agent": "agent",
}


def of(case: str, category: str) -> list[Span]:
    """Return the spans of a category in order of time."""
    return [span for span in spans_of(case) if span.category == category]


@pytest.mark.parametrize("case", [*TALKATIVE, "adk_agent"])
def test_every_model_call_is_one_span_with_its_tokens(case: str) -> None:
    models, truths = of(case, "llm"), truth_of(case)
    assert [span.usage.input_tokens for span in models] == [truth.input_tokens for truth in truths]
    assert [span.usage.output_tokens for span in models] == [truth.output_tokens for truth in truths]
    assert {span.model for span in models} <= {truths[0].model, truths[0].request_model}


@pytest.mark.parametrize("case", TALKATIVE)
def test_conversation_of_every_call(case: str) -> None:
    for span, truth in zip(of(case, "llm"), truth_of(case), strict=True):
        given = [words(message) for message in span.input_messages if message["role"] != "system"]
        told = [turn for turn in truth.conversation if turn[0] != "system"]
        assert [text.strip() for _, text in given] == [text.strip() for _, text in told]
        assert [role for role, _ in given] == [role for role, _ in told]
        said = [part for message in span.output_messages for part in message["parts"]]
        assert [part["content"] for part in said if part["type"] == "text"] == ([truth.text] if truth.text else [])
        calls = [part for part in said if part["type"] == "tool_call"]
        assert [(call["id"], call["name"]) for call in calls] == [
            (call["id"], call["name"]) for call in truth.tool_calls
        ]


@pytest.mark.parametrize("case", TALKATIVE)
def test_tool_and_its_pairing(case: str) -> None:
    truths = truth_of(case)
    [tool] = of(case, "tool")
    city = "MUST" if case.startswith("crewai") else "Paris"  # what the fake model made of the crew's long prompt
    assert (tool.operation, tool.tool_name, tool.tool_arguments) == ("execute_tool", "get_weather", {"city": city})
    result = tool.tool_result["result"] if case.startswith("adk") else tool.tool_result
    assert result == WEATHER.replace("Paris", city)
    call_id = truths[0].tool_calls[0]["id"]
    assert tool.tool_call_id == ("" if case.startswith(("crewai", "genkit", "haystack")) else call_id)
    second = of(case, "llm")[1]
    parts = [part for message in second.input_messages for part in message["parts"]]
    assert [part["id"] for part in parts if part["type"] == "tool_call"] == [call_id]
    assert [part["id"] for part in parts if part["type"] == "tool_call_response"] == [call_id]


@pytest.mark.parametrize(("case", "category"), TALKATIVE.items())
def test_the_span_around_it_all(case: str, category: str) -> None:
    root = spans_of(case)[0]
    assert (root.raw.parent_span_id, root.category) == ("", category)
    if case.startswith(("adk", "crewai")):  # whose outermost span is told little or nothing
        root = next((span for span in spans_of(case) if span.agent_name and span.input_preview), root)
    if category == "agent":
        assert root.input_preview == QUESTION
        assert root.output_preview == truth_of(case)[1].text


@pytest.mark.parametrize("case", ["strands_agent", "strands_latest_agent"])
def test_strands(case: str) -> None:
    spans = spans_of(case)
    assert {(span.session_id, span.user_id) for span in spans} == {("session-1", "user-1")}
    assert [span.agent_name for span in spans if span.operation == "invoke_agent"] == ["helper", "helper"]
    for span in of(case, "llm"):
        assert span.provider == ""  # it puts its own name there
        assert span.ttft_source == "client_chunk"
        duration_ns = span.raw.end_ns - span.raw.start_ns
        assert span.ttft_ns is not None
        assert duration_ns * 0.5 < span.ttft_ns <= duration_ns
    [first, *_] = [span for span in spans if span.operation == "execute_event_loop_cycle"]
    assert first.input_preview == QUESTION
    answered = [part for message in first.output_messages for part in message["parts"]]
    assert answered[-1] == {
        "type": "tool_call_response",
        "id": truth_of(case)[0].tool_calls[0]["id"],
        "response": WEATHER,
    }
    # Its agents' usage accumulates from run to run and must not be taken for theirs.
    agents = [span.usage.input_tokens for span in spans if span.operation == "invoke_agent"]
    inputs = [truth.input_tokens or 0 for truth in truth_of(case)]
    assert agents == [sum(inputs[:2]), sum(inputs)]


@pytest.mark.parametrize("case", ["adk_agent", "adk_latest_agent"])
def test_adk(case: str) -> None:
    spans = spans_of(case)
    assert [span.category for span in spans] == ["workflow", "agent", "llm", "tool", "llm"]
    assert {span.agent_name for span in spans[1:]} == {"helper"}
    assert {span.session_id for span in spans if span.category != "tool"} == {"session-1"}
    for span in of(case, "llm"):
        assert (span.operation, span.provider) == ("generate_content", "gcp.gemini")
        assert span.parameters == {"top_p": 0.5, "max_tokens": 200}
        assert [tool["name"] for tool in span.tool_definitions] == ["get_weather"]
        system = span.system_instructions
        assert bool(system) == (case == "adk_latest_agent")
        if system:
            assert system[0]["content"] == truth_of(case)[0].system_text


def test_crewai_names_agents_tasks_and_session() -> None:
    spans = spans_of("crewai_own_crew")
    assert [span.operation for span in spans[:3]] == ["invoke_workflow", "execute_task", "invoke_agent"]
    assert {span.session_id for span in spans} == {"session-1"}
    assert {span.agent_name for span in spans[2:]} == {"helper"}
    assert spans[1].input_preview == "what is the weather in Paris?"
    assert spans[0].output_preview == truth_of("crewai_own_crew")[1].text
    for span in of("crewai_own_crew", "llm"):
        assert (span.response_id, span.provider) in {
            (truth.response_id, "openai") for truth in truth_of("crewai_own_crew")
        }
        assert span.tool_definitions[0]["parameters"]["properties"]["city"]["type"] == "string"
        assert span.tool_definitions[0]["parameters"]["required"] == ["city"]


def test_haystack_pipeline() -> None:
    [truth] = truth_of("haystack_pipeline")
    spans = spans_of("haystack_pipeline")
    assert [span.category for span in spans] == ["workflow", "retriever", "workflow", "llm"]
    assert (spans[0].input_preview, spans[0].output_preview) == ("What is a span?", truth.text)
    assert spans[1].input_preview == "What is a span?"
    assert [(document["id"], document["content"]) for document in spans[1].documents] == [
        ("doc-1", "A span is one operation."),
        ("doc-2", "A trace is a tree of spans."),
    ]
    assert all(0 < document["score"] < 2 for document in spans[1].documents)
    assert spans[1].documents[0]["metadata"] == {"page": 7}
    model = spans[3]
    assert [words(message) for message in model.input_messages] == truth.conversation
    assert (model.response_model, model.provider, model.finish_reasons) == (truth.model, "openai", ["stop"])


@pytest.mark.parametrize("case", ["litellm_chat", "litellm_v2_chat"])
def test_litellm_reports_what_it_thinks_a_call_cost(case: str) -> None:
    [truth] = truth_of(case)
    [span] = of(case, "llm")
    fresh = (truth.input_tokens or 0) - truth.cache_read_tokens  # US dollars per million: 0.15, 0.075 and 0.60
    wanted = fresh * Decimal("0.15") + truth.cache_read_tokens * Decimal("0.075")
    wanted += (truth.output_tokens or 0) * Decimal("0.60")
    assert span.cost.reported_usd == wanted / 1_000_000
    assert span.metadata["litellm.provider.model"] == "openai/gpt-4o-mini"
    assert span.user_id == ("user-1" if case == "litellm_chat" else "")


def test_litellm_raw_request_repeats_no_figures() -> None:
    for case in ("litellm_chat", "litellm_tools", "litellm_anthropic_chat", "litellm_embeddings"):
        raw = [span for span in spans_of(case) if span.raw.name == "raw_gen_ai_request"]
        assert len(raw) == len(truth_of(case))
        assert not any(span.usage.known or span.cost.reported_usd is not None for span in raw)
    [first, second] = [span for span in spans_of("litellm_anthropic_chat") if span.category == "other"]
    assert [first.response_id, second.response_id] == [
        truth.response_id for truth in truth_of("litellm_anthropic_chat")
    ]
    assert first.input_preview == "What is a span?"
    assert first.system_instructions[0]["content"] == truth_of("litellm_anthropic_chat")[0].system_text


def test_openlit_cost_and_what_it_makes_up() -> None:
    [truth] = truth_of("openlit_chat")
    [span] = of("openlit_chat", "llm")
    # Prices of our own making: 0.001 and 0.002 US dollars per thousand tokens.
    tokens = (truth.input_tokens or 0) + 2 * (truth.output_tokens or 0)
    assert span.cost.reported_usd == tokens * Decimal("0.000001")
    assert span.ttft_ns is None  # it reports the whole duration of calls that do not stream
    [unpriced, _] = of("openlit_tools", "llm")
    assert unpriced.cost.reported_usd is None
    assert (unpriced.tool_name, unpriced.tool_arguments) == ("", None)
    [guessed] = of("openlit_stream_without_usage", "llm")
    assert (guessed.usage.known, guessed.cost.reported_usd) == (False, None)


def test_semantic_kernel_loop() -> None:
    spans = spans_of("semantic_kernel_tools")
    assert [span.category for span in spans] == ["workflow", "llm", "tool", "llm"]
    assert spans[0].tool_definitions == [{"type": "function", "name": "sky-get_weather"}]
    assert (spans[2].tool_name, spans[2].tool_result) == ("sky-get_weather", WEATHER)
    assert [span.finish_reasons for span in spans if span.category == "llm"] == [["tool_call"], ["stop"]]


def test_livekit() -> None:
    spans, truths = spans_of("livekit_agent"), truth_of("livekit_agent")
    turns = [span for span in spans if span.operation == "invoke_agent"]
    assert [(turn.input_preview, turn.output_preview, turn.agent_name) for turn in turns] == [
        (QUESTION, truths[1].text, "helper"),
        ("Why is the sky blue?", truths[2].text, "helper"),
    ]
    attempts = [span for span in spans if span.raw.name == "llm_request_run"]
    assert [(span.category, span.usage.known) for span in attempts] == [("other", False)] * len(truths)
    for span, truth in zip(of("livekit_agent", "llm"), truths, strict=True):
        assert span.dialect == "livekit"  # though it carries an attribute of Langfuse's
        assert (span.provider, span.operation) == ("", "chat")  # it names the host it called, here a local address
        assert span.response_id == truth.response_id
        assert (span.usage.cache_read_tokens, span.usage.reasoning_tokens) == (
            truth.cache_read_tokens,
            truth.reasoning_tokens,
        )
        assert span.ttft_source == "client_chunk"


def test_genkit() -> None:
    spans, truths = spans_of("genkit_agent"), truth_of("genkit_agent")
    assert (spans[0].raw.name, spans[0].input_preview, spans[0].output_preview) == ("helper", QUESTION, truths[1].text)
    for span, truth in zip(of("genkit_agent", "llm"), truths, strict=True):
        assert (span.provider, span.request_model, span.response_model) == ("openai", "gpt-4o", truth.model)
        assert span.usage.cache_read_tokens == truth.cache_read_tokens
        assert [tool["name"] for tool in span.tool_definitions] == ["get_weather"]


def test_claude_code() -> None:
    spans, truths = spans_of("claude_code_agent"), truth_of("claude_code_agent")
    [interaction] = [span for span in spans if span.category == "agent"]
    assert interaction.input_preview == "What says Bash of the weather in Paris?"
    assert interaction.output_preview == truths[1].text
    models = [span for span in spans if span.category == "llm"]
    for span, truth in zip(models, truths, strict=True):
        assert (span.provider, span.usage.input_tokens, span.usage.output_tokens) == (
            "anthropic",
            truth.input_tokens,
            truth.output_tokens,
        )
        assert (span.usage.cache_read_tokens, span.usage.cache_write_tokens) == (
            truth.cache_read_tokens,
            truth.cache_write_tokens,
        )
    [tool] = [span for span in spans if span.category == "tool"]
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("Bash", "Paris", WEATHER)
    assert tool.tool_call_id == truths[0].tool_calls[0]["id"]
    assert len({span.session_id for span in spans}) == 1
    assert all(span.session_id and span.user_id for span in spans)
