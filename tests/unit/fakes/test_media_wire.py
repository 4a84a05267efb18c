"""The fake provider's images and streamed media, as the real OpenAI client reads them."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import openai
import pytest

from tests.fakes.answers import DRAWN_TOKENS, IMAGE_TOKENS, SPOKEN_TOKENS
from tests.fakes.media import file
from tests.fakes.provider import FakeProvider

DRAWN = base64.b64encode(file("drawn.png")).decode()


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    """Return a running provider."""
    with FakeProvider() as running:
        yield running


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    """Return a client of it that has served nothing yet."""
    provider.forget()
    with openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as made:
        yield made


def test_an_image_from_words(client: openai.OpenAI, provider: FakeProvider) -> None:
    got = client.images.generate(model="gpt-image-1", prompt="Draw two houses.", n=2)
    assert [each.b64_json for each in got.data] == [DRAWN] * 2
    assert got.usage is not None
    assert (got.usage.input_tokens, got.usage.output_tokens) == (3, 2 * DRAWN_TOKENS)
    assert got.usage.output_tokens_details.image_tokens == 2 * DRAWN_TOKENS
    [served] = provider.served
    assert (served.api, served.model, served.usage["total_tokens"]) == ("images", "gpt-image-1", 3 + 2 * DRAWN_TOKENS)


def test_an_image_from_another(client: openai.OpenAI, provider: FakeProvider) -> None:
    picture = ("image.png", file("image.png"), "image/png")
    got = client.images.edit(model="gpt-image-1", image=[picture, picture], prompt="Draw this anew.")
    assert got.usage.input_tokens_details.image_tokens == 2 * IMAGE_TOKENS
    [served] = provider.served
    assert served.request["image"] == [base64.b64encode(file("image.png")).decode()] * 2
    assert served.request["prompt"] == "Draw this anew."


def test_a_streamed_image(client: openai.OpenAI) -> None:
    events = list(client.images.generate(model="gpt-image-1", prompt="Draw a house.", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert events[1].b64_json == DRAWN
    assert (events[1].usage.input_tokens, events[1].usage.output_tokens) == (3, DRAWN_TOKENS)


def test_dalle_tells_no_tokens(client: openai.OpenAI, provider: FakeProvider) -> None:
    got = client.images.generate(model="dall-e-3", prompt="Draw a house.")
    assert got.usage is None
    assert got.data[0].url.startswith("https://")
    assert provider.served[0].usage is None
    assert not provider.served[0].usage_sent


def test_a_streamed_spoken_answer(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="gpt-audio",
            modalities=["text", "audio"],
            audio={"voice": "alloy", "format": "pcm16"},
            messages=[{"role": "user", "content": "Say it"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    spoken = [
        chunk.choices[0].delta.audio for chunk in chunks if chunk.choices and hasattr(chunk.choices[0].delta, "audio")
    ]
    spoken = [each for each in spoken if each]
    assert "".join(each.transcript or "" for each in spoken) == "You said: Say it"
    sound = b"".join(base64.b64decode(each.data) for each in spoken if each.data)
    assert sound == file("spoken.pcm")
    assert not any(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens_details.audio_tokens == SPOKEN_TOKENS


def test_a_picture_within_a_streamed_response(client: openai.OpenAI) -> None:
    stream = client.responses.create(
        model="gpt-4.1", input="Draw a house.", tools=[{"type": "image_generation"}], stream=True
    )
    events = list(stream)
    [partial] = [event for event in events if event.type == "response.image_generation_call.partial_image"]
    assert partial.partial_image_b64 == DRAWN
    assert [item.type for item in events[-1].response.output] == ["image_generation_call", "message"]
    assert events[-1].response.output[0].result == DRAWN
