"""Spring AI's spans give what was served: tokens, money, content, documents, tools, session."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanhouse_server.decode import decode, parse
from spanhouse_server.model.facts import TraceRow
from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.settle import settle
from spanhouse_server.price import price
from spanhouse_server.store.rows import facts_of
from tests.golden.case import RECEIVED_NS
from tests.golden.spring_ai.emit import Application, Served, answer, messages, request_of

EMBEDDED = Served("text-embedding-3-small", 8)
ASKED = Served("claude-sonnet-4-5-20250929", 1000, 40, 300, 200, response_id="msg_1", finish="tool_use")
ANSWERED = Served("claude-sonnet-4-5-20250929", 120, 60, 500, 0, response_id="msg_2")


def shop(asked: Served, answered: Served, provider: str) -> Application:
    """Return a question answered by documents and a tool, as 2.x tells it: a round of the loop, a chain of its own."""
    made = Application()
    made.span(
        1,
        0,
        "spring_ai chat_client",
        0,
        3000,
        gen_ai__operation__name="framework",
        gen_ai__system="spring_ai",
        spring__ai__kind="chat_client",
        spring__ai__chat__client__stream="false",
        spring__ai__chat__client__advisors='["ToolCallingAdvisor", "call"]',
        spring__ai__chat__client__conversation__id="s-1",
        spring__ai__chat__client__tool__names='["getWeather"]',
    )
    made.span(
        2,
        1,
        "pg_vector query",
        5,
        90,
        spring__ai__kind="vector_store",
        db__system="pg_vector",
        db__operation__name="query",
        db__vector__query__content="weather in Paris",
        db__vector__query__top_k="4",
        db__vector__query__similarity_threshold="0.5",
    )
    made.embedding(3, 2, 10, "openai", EMBEDDED)
    made.advisor(4, 1, 100, 2800, "ToolCallingAdvisor")
    made.advisor(5, 4, 110, 950, "call")
    first = messages(("system", "Be brief."), ("user", "And in Paris?"))
    made.chat(6, 5, 120, provider, asked, gen_ai__input__messages=first)
    made.span(
        7,
        4,
        "tool_call getWeather",
        1100,
        20,
        gen_ai__operation__name="framework",
        gen_ai__system="spring_ai",
        spring__ai__kind="tool_call",
        spring__ai__tool__definition__name="getWeather",
        spring__ai__tool__definition__description="Look outside.",
        spring__ai__tool__definition__schema="{}",
        spring__ai__tool__call__arguments='{"city": "Paris"}',
        spring__ai__tool__call__result='"21 degrees"',
    )
    made.advisor(8, 4, 1200, 950, "call")
    last = answer("21 degrees.", "end_turn")
    made.chat(9, 8, 1210, provider, answered, gen_ai__input__messages=first, gen_ai__output__messages=last)
    return made


def stored(application: Application) -> tuple[dict[str, Span], TraceRow]:
    """Return the canonical spans by the last digit of their ids, and the settled trace."""
    body = parse("traces", "application/x-protobuf", request_of(application))
    decoded = decode("traces", body, RECEIVED_NS)
    assert not decoded.rejected, decoded.message
    spans = [normalise(raw) for raw in decoded.spans]
    for span in spans:
        span.cost = price(span)
    return {span.raw.span_id[-1]: span for span in spans}, settle(
        "p", [facts_of(1, 0, span) for span in spans], 1
    ).trace


def test_every_token_is_counted_once_and_costs_what_anthropic_bills() -> None:
    spans, trace = stored(shop(ASKED, ANSWERED, "anthropic"))
    assert {span.dialect for span in spans.values()} == {"spring_ai"}
    calls = (ASKED, ANSWERED)
    cached = sum(call.cache_read_tokens + call.cache_write_tokens for call in calls)
    assert trace.input_tokens == sum(call.input_tokens for call in calls) + cached + EMBEDDED.input_tokens
    assert trace.output_tokens == sum(call.output_tokens for call in calls)
    assert (trace.cache_read_tokens, trace.cache_write_tokens) == (800, 200)
    # US dollars per million: Claude Sonnet 4.5 at 3, 15, 0.30 and 3.75, the embedding at 0.02.
    millionths = 1120 * 3 + 100 * 15 + 800 * Decimal("0.30") + 200 * Decimal("3.75") + 8 * Decimal("0.02")
    assert (trace.cost_usd, trace.cost_status) == (millionths / 1_000_000, "priced")
    assert (trace.llm_count, trace.session_id) == (2, "s-1")


def test_kinds_and_content() -> None:
    spans, trace = stored(shop(ASKED, ANSWERED, "anthropic"))
    kinds = ["workflow", "retriever", "embedding", "workflow", "workflow", "llm", "tool", "workflow", "llm"]
    assert [spans[str(number)].category for number in range(1, 10)] == kinds
    tool = spans["7"]
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("getWeather", {"city": "Paris"}, "21 degrees")
    assert (spans["2"].input_preview, spans["2"].parameters["top_k"]) == ("weather in Paris", 4)
    model = spans["9"]
    assert (model.input_preview, model.output_preview) == ("And in Paris?", "21 degrees.")
    assert (model.finish_reasons, model.parameters["temperature"]) == (["stop"], 0.7)
    assert [tool["name"] for tool in model.tool_definitions] == ["getWeather"]
    assert spans["6"].finish_reasons == ["tool_call"]


@pytest.mark.parametrize(("provider", "price_of"), [("openai", "gpt-4o-mini"), ("azure-openai", "gpt-4o-mini")])
def test_a_model_that_does_not_say_who_served_is_priced_by_what_was_asked(provider: str, price_of: str) -> None:
    asked, answered = Served(price_of, 100, 10, finish="TOOL_CALLS"), Served(price_of, 200, 20, finish="STOP")
    spans, trace = stored(shop(asked, answered, provider))
    assert (spans["9"].response_model, spans["9"].model) == ("", price_of)
    assert trace.models == [price_of, EMBEDDED.model]
    millionths = 300 * Decimal("0.15") + 30 * Decimal("0.60") + 8 * Decimal("0.02")
    assert (trace.cost_usd, trace.cost_status) == (millionths / 1_000_000, "priced")
