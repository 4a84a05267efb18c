"""The fake provider answers the real Anthropic client."""

from __future__ import annotations

import anthropic
import pytest

from tests.fakes.knobs import REASONING_TOKENS
from tests.fakes.provider import FakeProvider

HELLO = [{"role": "user", "content": "Good morning to you"}]
ASK = {"model": "claude-sonnet-4-5", "max_tokens": 100}
TOOL = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def provider():
    with FakeProvider() as running:
        yield running


@pytest.fixture
def client(provider):
    provider.forget()
    with anthropic.Anthropic(base_url=provider.url, api_key="sk-secret", max_retries=0) as made:
        yield made


def test_message(client, provider):
    got = client.messages.create(**ASK, system="Be brief.", messages=HELLO)
    assert got.content[0].text == "You said: Good morning to you"
    assert (got.usage.input_tokens, got.usage.output_tokens) == (6, 6)
    assert got.model == "claude-sonnet-4-5-20250929"
    assert got.stop_reason == "end_turn"
    assert "sk-secret" not in str(provider.served[0].headers)


def test_stream_usage_is_cumulative(client, provider):
    events = list(client.messages.create(**ASK, messages=HELLO, stream=True))
    assert events[0].type == "message_start"
    assert (events[0].message.usage.input_tokens, events[0].message.usage.output_tokens) == (4, 1)
    deltas = [event for event in events if event.type == "message_delta"]
    assert [delta.usage.output_tokens for delta in deltas] == [6]
    assert events[-1].type == "message_stop"
    assert provider.served[-1].usage["output_tokens"] == 6


def test_tool_use_round_trip(client):
    messages = [{"role": "user", "content": "What is the weather in Paris today?"}]
    with client.messages.stream(**ASK, messages=messages, tools=[TOOL]) as stream:
        first = stream.get_final_message()
    (use,) = first.content
    assert (use.type, use.input, first.stop_reason) == ("tool_use", {"city": "Paris"}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "18 degrees"}]}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    final = client.messages.create(**ASK, messages=messages, tools=[TOOL])
    assert final.content[0].text == "The tool says: 18 degrees"


def test_cache_is_written_once_then_read_and_excluded_from_input(client):
    system = [{"type": "text", "text": "a long prefix of six words", "cache_control": {"type": "ephemeral"}}]
    first = client.messages.create(**ASK, system=system, messages=HELLO).usage
    second = client.messages.create(**ASK, system=system, messages=HELLO).usage
    assert (first.input_tokens, first.cache_creation_input_tokens, first.cache_read_input_tokens) == (4, 6, 0)
    assert (second.input_tokens, second.cache_creation_input_tokens, second.cache_read_input_tokens) == (4, 0, 6)
    assert first.cache_creation.ephemeral_5m_input_tokens == 6


def test_thinking_blocks(client):
    with client.messages.stream(
        model="claude-sonnet-4-5",
        max_tokens=2000,
        messages=HELLO,
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        got = stream.get_final_message()
    assert [block.type for block in got.content] == ["thinking", "text"]
    assert got.content[0].signature
    assert got.usage.output_tokens == 6 + REASONING_TOKENS


def test_image_and_limit(client):
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is it"}]
    got = client.messages.create(model="claude-x", max_tokens=3, messages=[{"role": "user", "content": content}])
    assert got.usage.input_tokens == 85 + 3
    assert got.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (529, anthropic.InternalServerError),
    ],
)
def test_errors(client, status, error):
    with pytest.raises(error) as caught:
        client.messages.create(model=f"error-{status}", max_tokens=5, messages=HELLO)
    assert caught.value.body["type"] == "error"
    assert caught.value.body["request_id"].startswith("req_")


def test_max_tokens_is_required(client):
    with pytest.raises(anthropic.BadRequestError):
        client.post("/v1/messages", body={"model": "m", "messages": HELLO}, cast_to=object)


def test_count_tokens(client):
    assert client.messages.count_tokens(model="claude-x", messages=HELLO).input_tokens == 4


async def test_async_client(provider):
    async with anthropic.AsyncAnthropic(base_url=provider.url, api_key="x") as client:
        got = await client.messages.create(**ASK, messages=HELLO)
        assert got.usage.output_tokens == 6
        async with client.messages.stream(**ASK, messages=HELLO) as stream:
            assert "".join([text async for text in stream.text_stream]) == "You said: Good morning to you"
