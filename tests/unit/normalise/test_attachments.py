"""Media that MLflow keeps itself: shown with type and size, wherever a vocabulary puts the address."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.normalise.attachments import ATTACHED, read_attachment
from spanhouse_server.normalise.parts import fold_part

ADDRESS = ATTACHED + "0a1b?content_type=audio%2Fwav&trace_id=tr-1&size=200044"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "input_audio", "input_audio": {"data": ADDRESS, "format": "wav"}},
        {"type": "audio", "audio": {"data": ADDRESS}},
        {"type": "file", "file": {"file_data": ADDRESS, "filename": "a.wav"}},
        {"type": "image_url", "image_url": {"url": ADDRESS}},
        {"type": "document", "source": {"type": "base64", "data": ADDRESS}},
    ],
)
def test_an_attachment_is_a_part_with_type_and_size(item: dict[str, Any]) -> None:
    assert fold_part(item) == {
        "type": "uri",
        "modality": "audio",
        "uri": ADDRESS,
        "mime_type": "audio/wav",
        "size_bytes": 200_044,
    }


@pytest.mark.parametrize(
    "query", ["", "?", "?size=-1", "?size=²", "?size=1&content_type=", "?size=" + "9" * 13, "[?size=x"]
)
def test_what_an_address_does_not_tell_is_not_made_up(query: str) -> None:
    part = fold_part({"type": "image", "url": ATTACHED + "a" + query})
    assert part["uri"] == ATTACHED + "a" + query
    assert part.get("size_bytes") in (None, 1)
    assert "mime_type" not in part


@given(st.text(max_size=60))
def test_any_address_is_read(text: str) -> None:
    told = read_attachment(ATTACHED + text)
    assert told.size_bytes is None or 0 <= told.size_bytes < 10**12
