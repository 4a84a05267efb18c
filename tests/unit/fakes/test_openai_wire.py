"""The fake provider answers the real OpenAI client, and the truth it records is what was sent."""

from __future__ import annotations

import base64
import json
import struct
import time
from typing import Any

import openai
import pytest

from tests.fakes.knobs import REASONING_TOKENS, SLOW_TTFT_S
from tests.fakes.provider import FakeProvider

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Good morning to you"}]
WEATHER_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(scope="module")
def provider():
    with FakeProvider() as running:
        yield running


@pytest.fixture
def client(provider):
    provider.forget()
    with openai.OpenAI(base_url=provider.openai_url, api_key="sk-secret", max_retries=0) as made:
        yield made


def test_chat_counts_words(client, provider):
    got = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert got.choices[0].message.content == "You said: Good morning to you"
    assert got.choices[0].finish_reason == "stop"
    assert got.model == "gpt-4o-2024-08-06"
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (6, 6, 12)
    (served,) = provider.served
    assert served.response_id == got.id
    assert served.usage["prompt_tokens"] == 6
    assert served.finished
    assert "sk-secret" not in json.dumps(served.headers)


def test_ids_never_repeat_unless_asked(client):
    first, second = (client.chat.completions.create(model="m", messages=HELLO).id for _ in range(2))
    assert first != second
    fixed = [
        client.chat.completions.create(model="m", messages=HELLO, extra_headers={"x-fake-id": "a"}).id for _ in range(2)
    ]
    assert fixed[0] == fixed[1]


@pytest.mark.parametrize("include_usage", [True, False])
def test_stream_sends_usage_only_when_asked(client, provider, include_usage):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True, **options))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: Good morning to you"
    with_usage = [chunk for chunk in chunks if chunk.usage]
    assert len(with_usage) == (1 if include_usage else 0)
    if include_usage:
        assert with_usage == chunks[-1:]
        assert chunks[-1].choices == []
        assert chunks[-1].usage.prompt_tokens == 6
    finishes = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert finishes == ["stop"]
    assert provider.served[-1].usage["completion_tokens"] == 6
    assert provider.served[-1].usage_sent is include_usage


def test_tool_call_and_final_answer(client):
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris today?"}]
    got = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER_TOOL])
    (call,) = got.choices[0].message.tool_calls
    assert got.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "get_weather",
        {"city": "Paris", "unit": "celsius"},
    )
    messages += [got.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]
    final = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER_TOOL])
    assert final.choices[0].message.content == "The tool says: 18 degrees"
    # 7 of the question, 5 of the call (name and four words of arguments), 2 of the result, 10 for the tool on offer.
    assert final.usage.prompt_tokens == 7 + 5 + 2 + 10


def test_streamed_tool_call_is_assembled_by_the_client(client):
    with client.chat.completions.stream(
        model="gpt-4o",
        messages=[{"role": "user", "content": "The weather in Oslo please"}],
        tools=[WEATHER_TOOL],
    ) as stream:
        stream.until_done()
        message = stream.get_final_completion().choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments)["city"] == "Oslo"


def test_no_tool_call_without_a_reason(client):
    got = client.chat.completions.create(model="gpt-4o", messages=HELLO, tools=[WEATHER_TOOL])
    assert got.choices[0].message.tool_calls is None
    forced = client.chat.completions.create(
        model="gpt-4o", messages=HELLO, tools=[WEATHER_TOOL], tool_choice="required"
    )
    assert forced.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_cached_and_reasoning_tokens_by_name_and_header(client):
    by_name = client.chat.completions.create(model="cached-reasoner", messages=HELLO).usage
    assert by_name.prompt_tokens_details.cached_tokens == 3
    assert by_name.completion_tokens_details.reasoning_tokens == REASONING_TOKENS
    assert by_name.completion_tokens == 6 + REASONING_TOKENS
    by_header = client.chat.completions.create(
        model="gpt-4o", messages=HELLO, extra_headers={"x-fake-cached-tokens": "5", "x-fake-reasoning-tokens": "2"}
    ).usage
    assert by_header.prompt_tokens_details.cached_tokens == 5
    assert by_header.completion_tokens == 8


def test_image_parts_and_max_tokens(client):
    content = [
        {"type": "text", "text": "one two three four five"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    got = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": content}], max_completion_tokens=4
    )
    assert got.usage.prompt_tokens == 5 + 85
    assert got.choices[0].message.content == "You said: one two"
    assert got.choices[0].finish_reason == "length"


def test_json_schema_answer(client):
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "stops": {"type": "array", "items": {"$ref": "#/$defs/Stop"}},
        },
        "$defs": {"Stop": {"type": "object", "properties": {"fast": {"type": "boolean"}}}},
    }
    got = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "A trip of 3 days to Rome"}],
        response_format={"type": "json_schema", "json_schema": {"name": "trip", "schema": schema}},
    )
    assert json.loads(got.choices[0].message.content) == {"city": "Rome", "days": 3, "stops": [{"fast": True}]}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
def test_errors_are_the_clients_own(client, provider, status, error):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"error-{status}", messages=HELLO)
    assert provider.served[-1].status == status
    assert ("retry-after" in caught.value.response.headers) is (status == 429)
    with pytest.raises(error):
        client.chat.completions.create(model="gpt-4o", messages=HELLO, extra_headers={"x-fake-error": str(status)})


def test_bad_requests_are_400_not_500(client, provider):
    for body in ({"messages": "x"}, {"messages": [{}]}, {"messages": []}, {}):
        with pytest.raises(openai.BadRequestError):
            client.post("/chat/completions", body={"model": "gpt-4o", **body}, cast_to=object)
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", body={"messages": HELLO}, cast_to=object)
    assert {served.status for served in provider.served} == {400}


def test_slow_and_broken_streams(client, provider):
    begin = time.monotonic()
    stream = client.chat.completions.create(model="slow-model", messages=HELLO, stream=True)
    next(iter(stream))
    assert time.monotonic() - begin >= SLOW_TTFT_S
    stream.close()
    with pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(model="broken-model", messages=HELLO, stream=True))
    assert isinstance(caught.value, openai.APIConnectionError)
    assert provider.served[-1].finished is False
    assert provider.served[-1].events_sent == 2


def test_embeddings_base64_and_float_agree(client):
    as_float = client.embeddings.create(model="text-embedding-3-small", input=["a b", "c"], encoding_format="float")
    as_base64 = client.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input=["a b", "c"], encoding_format="base64"
    ).http_response.json()
    unpacked = struct.unpack("<8f", base64.b64decode(as_base64["data"][0]["embedding"]))
    assert unpacked == pytest.approx(as_float.data[0].embedding)
    assert as_float.usage.prompt_tokens == 3
    assert len(client.embeddings.create(model="m", input=[1, 2, 3], dimensions=4).data[0].embedding) == 4


def test_models_are_listed(client):
    assert "gpt-4o" in [model.id for model in client.models.list()]


def test_responses_with_tools_and_memory(client):
    tool = {"type": "function", **WEATHER_TOOL["function"], "strict": False}
    first = client.responses.create(
        model="gpt-4o", instructions="Be brief.", input="What is the weather in Paris?", tools=[tool]
    )
    call = first.output[0]
    assert (call.type, json.loads(call.arguments)["city"]) == ("function_call", "Paris")
    second = client.responses.create(
        model="gpt-4o",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}],
    )
    assert second.output_text == "The tool says: 18 degrees"
    assert second.usage.input_tokens == 6 + 5 + 2


@pytest.mark.parametrize(("limit", "last"), [(None, "response.completed"), (16, "response.completed")])
def test_responses_stream_ends_with_usage(client, limit, last):
    events = list(
        client.responses.create(
            model="reasoner-cached", input="Good morning to you", stream=True, max_output_tokens=limit
        )
    )
    assert events[0].type == "response.created"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == (
        "You said: Good morning to you"
    )
    assert events[-1].type == last
    assert events[-1].response.usage.output_tokens_details.reasoning_tokens == REASONING_TOKENS
    assert events[-1].response.usage.input_tokens_details.cached_tokens == 2


def test_responses_stream_with_a_tool(client):
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
    events = list(client.responses.create(model="m", input="the weather in Paris", tools=[tool], stream=True))
    done = next(event for event in events if event.type == "response.function_call_arguments.done")
    assert done.name == "get_weather"
    assert "".join(each.delta for each in events if each.type.endswith("arguments.delta")) == done.arguments
    assert events[-1].response.output[0].name == "get_weather"


def test_responses_stream_incomplete(client):
    events = list(client.responses.create(model="m", input="a b c d", stream=True, max_output_tokens=3))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.usage.output_tokens == 3


async def test_async_client(provider):
    async with openai.AsyncOpenAI(base_url=provider.openai_url, api_key="x") as client:
        got = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        assert got.usage.total_tokens == 12
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        assert len([chunk async for chunk in stream]) == 8
        async with client.responses.stream(model="gpt-4o", input="Good morning") as responses:
            final = await responses.get_final_response()
        assert final.output_text == "You said: Good morning"


def test_served_is_readable_over_http(client, provider):
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    root = openai.OpenAI(base_url=provider.url, api_key="x")
    listed = root.get("/_served", cast_to=object)
    assert listed[0]["usage"]["total_tokens"] == 12
    root.delete("/_served", cast_to=object)
    assert provider.served == []
