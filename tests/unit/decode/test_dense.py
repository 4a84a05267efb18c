"""Small on the wire, huge in memory: refused before the memory is taken."""

import subprocess
import sys

import pytest

from spanhouse_server.decode import parse
from spanhouse_server.decode.dense import _count_exceeds, _members
from spanhouse_server.decode.parse import REQUESTS
from spanhouse_server.errors import UndecodableBody
from tests.unit.decode.samples import FULL, JSON, PROTOBUF, TRACE_ID, traces

MIB = 1024 * 1024


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    length, size = b"", len(content)
    while size >= 0x80:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def in_span(content: bytes) -> bytes:
    return field(1, field(2, field(2, content)))


def nested(depth: int) -> bytes:
    """Return a chain of arrays within arrays, two bytes for each."""
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return field(9, field(2, value))


BOMBS = {
    "empty spans": field(1, field(2, b"\x12\x00" * (10 * MIB))),
    "empty scopes": field(1, b"\x12\x00" * (10 * MIB)),
    "empty attributes": in_span(b"\x4a\x00" * (10 * MIB)),
    "empty events": in_span(b"\x5a\x00" * (10 * MIB)),
    "spans of one small field": field(1, field(2, b"\x12\x02\x30\x03" * (5 * MIB))),
    "named spans": field(1, field(2, field(2, field(5, b"name")) * int(2.5 * MIB))),
    "values": in_span(field(9, field(2, field(5, b"\x0a\x00" * (10 * MIB))))),
    "chains of values": in_span(nested(46) * (20 * MIB // len(nested(46)))),
    "spans before garbage": field(1, field(2, b"\x12\x00" * (9 * MIB) + b"\xff" * 20)),
    "spans behind a group": field(1, field(2, b"\x7b\x7c" + b"\x12\x00" * (10 * MIB))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name: str) -> None:
    assert len(BOMBS[name]) <= 21 * MIB
    with pytest.raises(UndecodableBody, match="holds more than 2000000") as caught:
        parse("traces", PROTOBUF, BOMBS[name])
    assert caught.value.hint == "send smaller batches"


def test_json_bombs_are_refused() -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * (6 * MIB) + b"{}]}]}]}"
    with pytest.raises(UndecodableBody, match="holds more than"):
        parse("traces", JSON, body)


def test_refusing_takes_no_memory_to_speak_of() -> None:
    script = """
import resource, sys
from spanhouse_server.decode import parse
from spanhouse_server.errors import UndecodableBody
from tests.unit.decode.test_dense import field, MIB
body = field(1, field(2, b"\\x12\\x00" * (10 * MIB)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    parse("traces", "application/x-protobuf", body)
except UndecodableBody:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100 * 1024  # KiB; without the guard it is 1.8 GiB


def test_large_honest_bodies_pass() -> None:
    message = traces()
    spans = message.resource_spans[0].scope_spans[0].spans
    for _ in range(10_000):
        spans.add(trace_id=TRACE_ID, name="x" * 150).attributes.add(key="k").value.int_value = 1
    body = message.SerializeToString()
    assert len(body) > MIB
    assert parse("traces", PROTOBUF, body) == message
    zeros = FULL["metrics"]()
    point = zeros.resource_metrics[0].scope_metrics[0].metrics[2].histogram.data_points[0]
    point.bucket_counts.extend([0] * 200_000)
    assert parse("metrics", PROTOBUF, zeros.SerializeToString()) is not None


@pytest.mark.parametrize("signal", FULL)
def test_messages_are_counted_exactly(signal: str) -> None:
    message = FULL[signal]()

    def count(inner: object) -> int:
        total = 0
        for descriptor, value in inner.ListFields():  # type: ignore[attr-defined]
            if descriptor.message_type is not None:
                total += sum(1 + count(item) for item in (value if descriptor.is_repeated else [value]))
        return total

    body, members = message.SerializeToString(), _members(REQUESTS[signal].DESCRIPTOR)
    assert not _count_exceeds(body, members, count(message))
    assert _count_exceeds(body, members, count(message) - 1)
