"""Calls with large images, sound and files, as real instrumentations told them: parts, blobs, rows, tokens, money.

Expected is what the fake provider was sent and what it answered (``expected``), and the files themselves.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import pytest
from genai_prices import types
from genai_prices.data_snapshot import get_snapshot

from spanhouse_server.drain.transform import prepare_trace
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.span import Span, Usage
from spanhouse_server.normalise import normalise, redact_log
from spanhouse_server.price import price
from spanhouse_server.store import rows
from spanhouse_server.store.bare import bare_span
from spanhouse_server.store.jsontext import dump
from tests.fakes.media import NAMES, file, hash_of
from tests.golden.case import Truth
from tests.golden.media.cases import BYTES, case, names, parts_of, records, spans_of
from tests.golden.media.record import CASES, WHOLE
from tests.golden.media.told import ELSEWHERE, answered, told
from tests.golden.test_golden import ANTHROPIC_SDK
from tests.unit.normalise.settle_facts import settle_all

TYPES = {
    "png": ("image", "image/png"),
    "wav": ("audio", "audio/wav"),
    "pcm": ("audio", None),  # only the request says what streamed sound is
    "pdf": ("document", "application/pdf"),
}
#: What of the media may stand in no row: pieces of each alphabet, from within each file.
PIECES = [
    piece
    for data in map(file, NAMES)
    for at in range(300, len(data) - 300, max(len(data) // 5, 300))
    for piece in (
        base64.b64encode(data[at - at % 3 : at - at % 3 + 60]),
        base64.urlsafe_b64encode(data[at - at % 3 : at - at % 3 + 60]),
        repr(data[at : at + 40])[2:-1].encode(),
    )
]
MAX_ROW_BYTES = 20_000
FILES_HASH = "d4a02edf9bc49e2ccf3f1628e99b8bba24da400558c3946b9297d1cf9abd46d7"


def model_spans(name: str) -> list[Span]:
    """Return the spans of the model calls, the inner one where two tell of the same, and no client's own report."""
    spans = [span for span in spans_of(name) if span.category == "llm" and span.raw.scope.name != ANTHROPIC_SDK]
    outer = {span.raw.parent_span_id for span in spans}
    return [span for span in spans if span.raw.span_id not in outer]


def list_price(truth: Truth, usage: Usage, at_ns: int) -> Decimal:
    """Return what the public list charges for a call, sound and pictures by their own prices."""
    told = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "input_image_tokens": usage.image_input_tokens,
        "input_audio_tokens": usage.audio_input_tokens,
        "output_audio_tokens": usage.audio_output_tokens,
        "output_image_tokens": usage.image_output_tokens,
    }
    provider = {"messages": "anthropic", "gemini": "google"}.get(truth.api, "openai")
    moment = datetime.fromtimestamp(at_ns / 1e9, UTC)
    counted = types.Usage(**{name: count for name, count in told.items() if count})
    return get_snapshot().calc(counted, truth.model, provider, None, moment).total_price


def audio_tokens(truth: Truth) -> tuple[int, int]:
    """Return the tokens of sound that were served, input and output, from a usage object of OpenAI or Gemini."""
    usage = truth.usage or {}
    details = [usage.get(key) or {} for key in ("prompt_tokens_details", "completion_tokens_details")]
    heard = sum(each["tokenCount"] for each in usage.get("promptTokensDetails", ()) if each["modality"] == "AUDIO")
    return (details[0].get("audio_tokens") or 0) + heard, details[1].get("audio_tokens") or 0


def drawn_tokens(truth: Truth) -> int:
    """Return the tokens of images that Gemini drew."""
    details = (truth.usage or {}).get("candidatesTokensDetails", ())
    return sum(each["tokenCount"] for each in details if each["modality"] == "IMAGE")


def test_every_case_is_recorded() -> None:
    assert names() == sorted(each.name for each in CASES)


@pytest.mark.parametrize("name", names())
def test_media_are_parts_in_their_places(name: str) -> None:
    [span] = model_spans(name)
    shown = told(name)
    assert span.dialect == shown.dialect
    sent = [each for each in case(name).sent if each.rpartition(".")[2] in shown.sent]
    for messages, wanted in ((span.input_messages, sent), (span.output_messages, answered(name))):
        parts = parts_of(messages)
        assert len(parts) == len(wanted), parts
        for part, each in zip(parts, wanted, strict=True):
            if each == ELSEWHERE:
                assert part == {"type": "uri", "modality": "image", "uri": each}
                continue
            modality, kind = TYPES[each.rpartition(".")[2]]
            assert (part["type"], part["modality"], part.get("mime_type")) == ("uri", modality, kind)
            if part["uri"].startswith(shown.elsewhere or "none"):
                assert part["size_bytes"] == len(BYTES[each])
                continue
            scheme, _, digits = part["uri"].partition("/")
            assert scheme == "spanhouse-blob:sha256"
            whole = sha256(BYTES[each]).hexdigest()
            assert whole.startswith(digits)
            if shown.sizes:
                assert (digits, part["size_bytes"]) == (whole, len(BYTES[each]))
            assert "truncated" not in part
    assert not span.truncated


@pytest.mark.parametrize("name", names())
def test_blobs_are_the_bytes_that_were_sent(name: str) -> None:
    recorded = case(name)
    wanted = {sha256(data).hexdigest(): data for data in BYTES.values()}
    kept = {blob.hash for span in spans_of(name) for blob in span.blobs} | set(recorded.uploads)
    for span in spans_of(name):
        for blob in span.blobs:
            assert base64.b64decode(blob.data, validate=True) == wanted[blob.hash]
            assert blob.size_bytes == len(wanted[blob.hash])
    shown = told(name)
    expected = {hash_of(each) for each in recorded.sent if each.rpartition(".")[2] in shown.kept}
    if not shown.elsewhere:
        expected |= {sha256(BYTES[each]).hexdigest() for each in answered(name) if each != ELSEWHERE}
    assert expected <= kept <= set(wanted)


@pytest.mark.parametrize("name", names())
def test_rows_hold_nothing_of_the_media(name: str) -> None:
    facts: dict[str, list[SpanFacts]] = {}
    for span in spans_of(name):
        span.cost = price(span)
        row = bare_span(rows.span_values("p", 1, 0, span))
        assert len(row) < MAX_ROW_BYTES
        assert not any(piece in row for piece in PIECES)
        assert len(span.input_preview) <= 200 >= len(span.output_preview)
        facts.setdefault(span.raw.trace_id, []).append(rows.facts_of(1, 0, span))
    for its in facts.values():
        prepared = prepare_trace("p", its, 1)
        assert not any(piece in prepared.index_rows + prepared.trace_row for piece in PIECES)
    for log in records(name)[1]:
        row = dump(rows.log_row("p", 1, 0, redact_log(log, []), True))
        assert len(row) < MAX_ROW_BYTES
        assert not any(piece in row for piece in PIECES)


@pytest.mark.parametrize("name", names())
def test_a_second_reading_says_the_same(name: str) -> None:
    raw_logs = records(name)[1]
    for span in spans_of(name):
        mine = [redact_log(log, []) for log in raw_logs if log.span_id == span.raw.span_id]
        again = normalise(span.raw, mine)
        assert again.raw == span.raw
        assert again.blobs == []
        assert (again.input_messages, again.output_messages) == (span.input_messages, span.output_messages)


@pytest.mark.parametrize("name", names())
def test_tokens_and_cost_are_those_served(name: str) -> None:
    [truth] = case(name).served
    [span] = model_spans(name)
    for each in spans_of(name):
        each.cost = price(each)
    heard, drawn = audio_tokens(truth), drawn_tokens(truth)
    # What was spoken or drawn has a price of its own, and who does not tell how much it was has no whole one.
    status = "partial" if not told(name).audio and (heard[1] or drawn) else told(name).cost
    assert {each.cost.status for each in spans_of(name) if each.category == "llm"} == {status}
    if not told(name).usage:
        assert not span.usage.known
        assert span.cost.reason == "no_usage"
        return
    traces = [one.trace for one in settle_all(rows.facts_of(1, 0, each) for each in spans_of(name)).values()]
    assert sum(trace.input_tokens or 0 for trace in traces) == truth.input_tokens
    assert sum(trace.output_tokens or 0 for trace in traces) == truth.output_tokens
    cost = sum((trace.cost_usd for trace in traces if trace.cost_usd is not None), Decimal(0))
    assert cost == list_price(truth, span.usage, span.raw.start_ns)
    told_apart = heard if told(name).audio else (0, 0)
    assert (span.usage.audio_input_tokens or 0, span.usage.audio_output_tokens or 0) == told_apart
    if truth.api == "gemini" and told(name).audio:
        assert (span.usage.image_output_tokens or 0) == drawn


@pytest.mark.parametrize("name", [name for name in names() if case(name).served[0].api == "images"])
def test_an_image_is_drawn_by_a_call_of_its_model(name: str) -> None:
    [truth] = case(name).served
    [span] = model_spans(name)
    assert span.operation == ("chat" if name.startswith("genkit") else "generate_content")
    assert (span.request_model, span.response_id) == (truth.request_model, "")
    assert span.input_preview == (truth.request["prompt"] if told(name).prompt else "")
    if told(name).usage:
        details = [truth.usage.get(f"{side}_tokens_details") or {} for side in ("input", "output")]
        seen, drawn = (each.get("image_tokens") for each in details)
        assert (span.usage.image_input_tokens or 0) == (seen if told(name).audio else 0)
        assert span.usage.image_output_tokens == (drawn or truth.output_tokens)


@pytest.mark.parametrize("name", ["litellm_drawing", "litellm_proxy_drawing", "litellm_sound", "litellm_proxy_sound"])
def test_litellm_shows_what_is_answered_beside_the_raw_request(name: str) -> None:
    [span] = [span for span in spans_of(name) if span.raw.name == "raw_gen_ai_request"]
    wanted = "drawn.png" if name.endswith("drawing") else "spoken.wav"
    assert [part["uri"].rpartition("/")[2] for part in parts_of(span.output_messages)] == [hash_of(wanted)]


def test_what_an_image_cost_is_reported_where_no_tokens_are_told() -> None:
    """LiteLLM's gateway tells zeros of an image that was drawn from another one, and its price."""
    name = "litellm_proxy_v2_redrawing"
    [truth] = case(name).served
    [span] = model_spans(name)
    drawn = truth.usage["output_tokens_details"]["image_tokens"]
    seen = truth.usage["input_tokens_details"]["image_tokens"]
    served = Usage(truth.input_tokens, truth.output_tokens, image_input_tokens=seen, image_output_tokens=drawn)
    assert price(span).total_usd == list_price(truth, served, span.raw.start_ns)


def test_one_payload_is_kept_whole() -> None:
    [(_, body)] = case(WHOLE[0]).bodies
    assert base64.b64encode(file("sound.wav")) in body


def test_files_are_the_same_everywhere() -> None:
    """Packed payloads hold on to every byte of them."""
    assert sha256(b"".join(map(file, NAMES))).hexdigest() == FILES_HASH
