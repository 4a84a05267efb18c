"""The Gemini API of the fake provider, over a real socket."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.answers import DRAWN_TOKENS
from tests.fakes.provider import FakeProvider

MODEL = "gemini-2.5-flash"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hello there, Gemini"}]}]}
LOOK = {
    "functionDeclarations": [
        {"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
    ]
}


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    """Return a running provider."""
    with FakeProvider() as running:
        yield running


def ask(provider: FakeProvider, verb: str, body: dict[str, Any], model: str = MODEL, **headers: str) -> str:
    """Post to the API; return the body of the answer."""
    request = urllib.request.Request(
        f"{provider.url}/v1beta/models/{model}:{verb}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        text: str = response.read().decode()
        return text


def test_answer_and_usage(provider: FakeProvider) -> None:
    system = {"systemInstruction": {"parts": [{"text": "Be brief."}]}}
    text = ask(provider, "generateContent", HELLO | system, x_fake_cached_tokens="2", x_fake_reasoning_tokens="4")
    answer = json.loads(text)
    assert answer["candidates"][0]["content"] == {
        "parts": [{"text": "You said: Hello there, Gemini"}],
        "role": "model",
    }
    assert answer["candidates"][0]["finishReason"] == "STOP"
    usage = answer["usageMetadata"]
    assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["thoughtsTokenCount"]) == (5, 5, 4)
    assert (usage["cachedContentTokenCount"], usage["totalTokenCount"]) == (2, 14)
    served = provider.served[-1]
    assert (served.api, served.model, served.response_id) == ("gemini", MODEL, answer["responseId"])
    assert (served.usage, served.usage_sent, served.finished) == (usage, True, True)


def test_thoughts_are_told_only_when_asked_for(provider: FakeProvider) -> None:
    config = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    parts = json.loads(ask(provider, "generateContent", HELLO | config, x_fake_reasoning_tokens="4"))["candidates"][0]
    assert [part.get("thought", False) for part in parts["content"]["parts"]] == [True, False]


def test_stream(provider: FakeProvider) -> None:
    text = ask(provider, "streamGenerateContent?alt=sse", HELLO)
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    words = [part["text"] for each in events for part in each["candidates"][0]["content"]["parts"]]
    assert "".join(words) == "You said: Hello there, Gemini"
    assert [each["candidates"][0].get("finishReason") for each in events][-2:] == [None, "STOP"]
    assert events[-1]["usageMetadata"] == provider.served[-1].usage
    assert provider.served[-1].stream


def test_a_picture_comes_with_the_last_event(provider: FakeProvider) -> None:
    body = HELLO | {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}
    text = ask(provider, "streamGenerateContent?alt=sse", body)
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    parts = [[*part] for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert [kind for kind in parts if kind != ["text"]] == [["inlineData"]]
    assert parts[-1] == ["inlineData"]
    [drawn] = events[-1]["usageMetadata"]["candidatesTokensDetails"]
    assert drawn == {"modality": "IMAGE", "tokenCount": DRAWN_TOKENS}


def test_tool_and_its_answer(provider: FakeProvider) -> None:
    question = {"role": "user", "parts": [{"text": "What is the weather in Paris?"}]}
    first = json.loads(ask(provider, "generateContent", {"contents": [question], "tools": [LOOK]}))
    [part] = first["candidates"][0]["content"]["parts"]
    call = part["functionCall"]
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    reply = {"id": call["id"], "name": call["name"], "response": {"result": "It is 21 degrees."}}
    contents = [
        question,
        first["candidates"][0]["content"],
        {"role": "user", "parts": [{"functionResponse": reply}]},
    ]
    second = json.loads(ask(provider, "generateContent", {"contents": contents, "tools": [LOOK]}))
    assert second["candidates"][0]["content"]["parts"] == [{"text": "The tool says: It is 21 degrees."}]


def test_embeddings_and_counting(provider: FakeProvider) -> None:
    content = {"content": {"parts": [{"text": "three small words"}]}}
    vector = json.loads(ask(provider, "embedContent", content))["embedding"]["values"]
    assert sum(value * value for value in vector) == pytest.approx(1)
    batch = json.loads(ask(provider, "batchEmbedContents", {"requests": [content, content]}))
    assert [each["values"] for each in batch["embeddings"]] == [vector, vector]
    assert not provider.served[-1].usage_sent
    assert json.loads(ask(provider, "countTokens", HELLO)) == {"totalTokens": 3}


@pytest.mark.parametrize(
    ("model", "body", "status", "word"),
    [
        ("gemini-error-429", HELLO, 429, "RESOURCE_EXHAUSTED"),
        (MODEL, {"contents": 5}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_errors(provider: FakeProvider, model: str, body: dict[str, Any], status: int, word: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as problem:
        ask(provider, "generateContent", body, model)
    error = json.loads(problem.value.read())["error"]
    assert (problem.value.code, error["code"], error["status"]) == (status, status, word)


def test_an_unknown_verb_is_not_found(provider: FakeProvider) -> None:
    with pytest.raises(urllib.error.HTTPError) as problem:
        ask(provider, "inventContent", HELLO)
    assert problem.value.code == 404
