"""Every recorded stream, whole and under every byte split, is read as it was served."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanhouse_collector.parse.inflate import zstd
from tests.unit.collector.parse.calls import Call, bytewise, expected, found_in, read
from tests.unit.collector.parse.streams import STREAMS

IDS = [call.name for call in STREAMS]


@pytest.mark.parametrize("call", STREAMS, ids=IDS)
def test_whole(call: Call) -> None:
    record = read(call)
    assert found_in(record) == expected(call)
    assert record.faults == {}
    assert record.reading.streaming
    assert record.response_bytes == len(call.body)


@pytest.mark.parametrize("call", STREAMS, ids=IDS)
def test_single_bytes(call: Call) -> None:
    record = read(call, bytewise)
    assert found_in(record) == expected(call)
    assert record.faults == {}


@pytest.mark.parametrize("call", STREAMS, ids=IDS)
def test_cut_in_two_at_every_byte(call: Call) -> None:
    truth = read(call).reading
    for place in range(1, len(call.body)):
        cut = read(call, lambda body, at=place: [body[:at], body[at:]])
        assert cut.reading == truth, f"cut at byte {place}"
        assert cut.faults == {}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_random_splits(data: st.DataObject) -> None:
    call = data.draw(st.sampled_from(STREAMS))
    places = sorted(data.draw(st.sets(st.integers(1, len(call.body) - 1), max_size=40)))

    def split(body: bytes) -> list[bytes]:
        if body is not call.body:
            return [body]
        return [body[start:stop] for start, stop in zip([0, *places], [*places, len(body)], strict=True)]

    record = read(call, split)
    assert found_in(record) == expected(call)
    assert record.faults == {}


def _deflate_raw(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _zstd_frame_by_frame(body: bytes) -> bytes:
    return b"".join(zstd.compress(piece) for piece in (body[:50], body[50:300], body[300:]))


ENCODINGS: dict[str, Any] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate raw": _deflate_raw,
    "zstd": zstd.compress,
    "zstd frames": _zstd_frame_by_frame,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("split", [None, bytewise], ids=["whole", "bytes"])
def test_compressed(encoding: str, split: Any) -> None:
    call = STREAMS[0]
    packed = Call(
        **{
            **{key: getattr(call, key) for key in Call.__dataclass_fields__},
            "body": ENCODINGS[encoding](call.body),
            "headers": (("Content-Encoding", encoding.split()[0]),),
        }
    )
    record = read(packed, *([split] if split else []))
    assert found_in(record) == expected(call)
    assert record.response_bytes == len(packed.body)


@pytest.mark.parametrize("call", STREAMS, ids=IDS)
def test_a_stream_that_breaks_off_keeps_what_came(call: Call) -> None:
    for place in range(0, len(call.body), 97):
        broken = Call(**{**{key: getattr(call, key) for key in Call.__dataclass_fields__}, "body": call.body[:place]})
        record = read(broken, end={"outcome": "client_disconnected"})
        assert "internal" not in record.faults
        found = found_in(record)
        assert call.text.startswith(found["text"]) or call.name == "transcription_stream"
        assert call.reasoning.startswith(found["reasoning"])


GONE = {"outcome": "client_disconnected", "error_type": "client_disconnected"}


@pytest.mark.parametrize(
    "call", [call for call in STREAMS if call.finish and not call.error], ids=lambda call: call.name
)
def test_a_client_that_leaves_after_the_last_event_saw_all_of_it(call: Call) -> None:
    """Clients close a stream on its end mark, before the transfer has ended."""
    assert read(call, end=GONE).end.outcome == "complete"


@pytest.mark.parametrize(
    "call", [call for call in STREAMS if call.finish and not call.error], ids=lambda call: call.name
)
def test_a_client_that_leaves_midway_did_not(call: Call) -> None:
    half = replace(call, body=call.body[: len(call.body) // 3])
    assert read(half, end=GONE).end.outcome == "client_disconnected"
