"""Calls of OpenAI's images API, as several emitters keep them, and media that an emitter left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.dialects.images_api import is_drawn
from spanhouse_server.normalise.parts import fold_part
from tests.unit.normalise.make import raw_span

PIXEL = "iVBORw0KGgo="
USAGE = {"input_tokens": 9, "input_tokens_details": {"image_tokens": 5, "text_tokens": 4}, "output_tokens": 20}
ANSWER = {"created": 1, "data": [{"b64_json": PIXEL}], "output_format": "webp", "usage": USAGE}
EVENT = {"type": "image_edit.completed", "created_at": 1, "b64_json": PIXEL, "usage": USAGE}


def openinference(answer: Any, **more: Any) -> Span:
    """Return the span of a call under OpenInference."""
    request = {"model": "gpt-image-1.5", "prompt": "Draw.", "quality": "low"}
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "input.value": json.dumps(request),
        "llm.invocation_parameters": json.dumps(request),
        "output.value": json.dumps(answer),
    }
    return normalise(raw_span(attributes | more, name="ImagesResponse", scope="openinference.instrumentation.openai"))


@pytest.mark.parametrize(("answer", "kind"), [(ANSWER, "image/webp"), (EVENT, "image/png")])
def test_an_answer(answer: dict[str, Any], kind: str) -> None:
    span = openinference(answer)
    assert (span.category, span.operation, span.request_model) == ("llm", "generate_content", "gpt-image-1.5")
    assert span.input_messages == [{"role": "user", "parts": [{"type": "text", "content": "Draw."}]}]
    part = {"type": "blob", "modality": "image", "mime_type": kind, "content": PIXEL}
    assert span.output_messages == [{"role": "assistant", "parts": [part]}]
    assert (span.usage.input_tokens, span.usage.output_tokens, span.usage.image_input_tokens) == (9, 20, 5)
    assert span.usage.image_output_tokens == 20
    assert span.parameters == {"quality": "low", "output_type": "image"}


def test_output_tokens_that_are_told_apart_stay_so() -> None:
    usage = USAGE | {"output_tokens_details": {"image_tokens": 12, "text_tokens": 8}}
    assert openinference(ANSWER | {"usage": usage}).usage.image_output_tokens == 12


def test_the_image_given_stands_behind_the_words() -> None:
    span = openinference(ANSWER, **{"input.images.0.image.url": f"data:image/png;base64,{PIXEL}"})
    assert [part["type"] for part in span.input_messages[0]["parts"]] == ["text", "blob"]


@pytest.mark.parametrize(
    "other",
    [
        {"created": 1, "data": []},
        {"created": 1, "data": [{"embedding": [1.0], "url": "x"}]},
        {"data": [{"url": "https://example.org/a"}]},
        {"created": 1, "data": [{"id": "model"}]},
        {"type": "image_edit.partial_image", "b64_json": PIXEL},
        {"type": "image_edit.completed", "b64_json": None},
        [],
        "image",
        None,
    ],
)
def test_other_answers_are_none(other: Any) -> None:
    assert not is_drawn(other)


@pytest.mark.parametrize(
    ("item", "part"),
    [
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,[base64_data truncated: 292.9KB]"}},
            {"type": "blob", "modality": "image", "mime_type": "image/png"},
        ),
        (
            {"type": "blob", "mime_type": "audio/wav", "data": "<not serializable>"},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav"},
        ),
        ({"type": "image", "url": "__REDACTED__"}, {"type": "blob", "modality": "image"}),
    ],
)
def test_an_emitters_word_is_no_data(item: dict[str, Any], part: dict[str, Any]) -> None:
    assert fold_part(item) == part


def test_litellm_tells_of_an_edit_in_two_tongues() -> None:
    """The chat API's counts are zeros beside those of the images API."""
    counts = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 29, **USAGE}
    attributes = {
        "gen_ai.operation.name": "aimage_edit",
        "gen_ai.request.model": "gpt-image-1",
        "gen_ai.usage.input_tokens": 0,
        "gen_ai.usage.output_tokens": 0,
        "metadata.usage_object": repr(counts),
        "hidden_params": json.dumps({"response_cost": 0.25}),
    }
    span = normalise(raw_span(attributes, scope="litellm"))
    assert (span.category, span.operation) == ("llm", "generate_content")
    assert (span.usage.input_tokens, span.usage.output_tokens) == (9, 20)
    assert str(span.cost.reported_usd) == "0.25"


def test_openlit_knows_no_price_where_it_says_zero() -> None:
    attributes = {"gen_ai.operation.name": "image", "gen_ai.usage.cost": 0, "gen_ai.response.id": "1760000000"}
    span = normalise(raw_span(attributes, scope="openlit.instrumentation.openai"))
    assert span.cost.reported_usd is None
    assert span.response_id == ""


def test_logfire_tells_an_edit_by_its_address_only() -> None:
    attributes = {"request_data": json.dumps({"model": "gpt-image-1"}), "url": "/images/edits"}
    span = normalise(raw_span(attributes | {"logfire.span_type": "span"}, scope="logfire.openai"))
    assert (span.category, span.operation) == ("llm", "generate_content")


def test_genkit_shows_a_paper_as_a_document() -> None:
    media = {"url": "https://example.org/a.pdf", "contentType": "application/pdf"}
    given = {"messages": [{"role": "user", "content": [{"media": media}]}]}
    attributes = {
        "genkit:type": "action",
        "genkit:metadata:subtype": "model",
        "genkit:name": "openai/gpt-4o",
        "genkit:input": json.dumps(given),
    }
    [message] = normalise(raw_span(attributes, scope="genkit-tracer")).input_messages
    assert [part["modality"] for part in message["parts"]] == ["document"]
