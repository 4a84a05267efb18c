"""Recorded calls with an image, as if the image had been a large one: it lies apart, by the hash of what was served.

The recorded image is a single pixel, small enough to stay in its span (``test_golden.test_image``). Here a larger one
stands in its place, everywhere the instrumentation wrote it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import is_genai_log, normalise
from tests.golden.apps.samples import PIXEL
from tests.golden.case import all_cases, records
from tests.golden.tells import tells
from tests.samples_media import b64, png, uri

SMALL = PIXEL.rpartition(",")[2]
IMAGE = png()
SHOWN = [case for case in all_cases() if case.endswith("vision") and tells(case).several_parts and tells(case).image]


def enlarged(value: Any) -> Any:
    """Return a value with the large image in the pixel's place, in whichever alphabet it is written."""
    if isinstance(value, str):
        urlsafe = b64(IMAGE).replace("+", "-").replace("/", "_")
        return value.replace(SMALL, b64(IMAGE)).replace(SMALL.replace("+", "-").replace("/", "_"), urlsafe)
    if isinstance(value, list):
        return [enlarged(item) for item in value]
    if isinstance(value, dict):
        return {key: enlarged(item) for key, item in value.items()}
    return value


def spans(case: str) -> list[Span]:
    raws, logs = records(case)
    logs = [replace(log, body=enlarged(log.body), attributes=enlarged(log.attributes)) for log in logs]
    raws = [
        replace(
            raw,
            attributes=enlarged(raw.attributes),
            events=[replace(event, attributes=enlarged(event.attributes)) for event in raw.events],
        )
        for raw in raws
    ]
    return [normalise(raw, [log for log in logs if log.span_id == raw.span_id and is_genai_log(log)]) for raw in raws]


@pytest.mark.parametrize("case", SHOWN)
def test_a_large_image_lies_apart(case: str) -> None:
    read = spans(case)
    images = [
        part for span in read for message in span.input_messages for part in message["parts"] if part["type"] != "text"
    ]
    assert images
    for part in images:
        assert (part["type"], part["uri"], part["size_bytes"]) == ("uri", uri(IMAGE), len(IMAGE))
        assert (part["modality"], part["mime_type"]) == ("image", "image/png")
    assert {blob.hash for span in read for blob in span.blobs} == {sha256(IMAGE).hexdigest()}
    for span in read:
        assert not span.truncated
        kept = json.dumps([span.raw.attributes, [event.attributes for event in span.raw.events], span.input_messages])
        assert b64(IMAGE)[60:120] not in kept + span.text
        again = normalise(span.raw)
        assert (again.raw, again.blobs) == (span.raw, [])
