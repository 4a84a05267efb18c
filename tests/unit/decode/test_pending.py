"""Logfire's pending spans: they become first versions of the spans they announce, and never win over these."""

from __future__ import annotations

from itertools import permutations
from operator import itemgetter
from typing import Any

import orjson
import pytest

from spanhouse_server.decode import check, decode, parse
from spanhouse_server.decode.pending import PENDING, PENDING_AGE_NS, stamp_ns
from spanhouse_server.drain.transform import transform
from spanhouse_server.model.raw import RawSpan
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store.bare import SPAN_COLUMNS
from tests.otlp import request, span

RECEIVED_NS = 1_800_000_000_000_000_000
TRACE, REAL, OWN, PARENT = "1" * 32, "2" * 16, "3" * 16, "4" * 16
PROTOBUF = "application/x-protobuf"


def pending(parent: Any = PARENT, announced: str = REAL) -> dict[str, Any]:
    """Return a pending record of the span ``REAL``."""
    attributes = {"logfire.span_type": "pending_span", "logfire.pending_parent_id": parent}
    return span(TRACE, OWN, announced, start_ns=RECEIVED_NS, duration_ns=0, attributes=attributes)


def finished() -> dict[str, Any]:
    """Return the span itself."""
    attributes = {"logfire.span_type": "span", "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5}
    return span(TRACE, REAL, PARENT, start_ns=RECEIVED_NS, duration_ns=7, attributes=attributes)


def decoded(*spans: dict[str, Any]) -> list[RawSpan]:
    """Return the spans of a body, which checking must accept as well."""
    message = parse("traces", PROTOBUF, request(*spans))
    assert check("traces", message).accepted == len(spans)
    return decode("traces", message, RECEIVED_NS).spans


def test_takes_the_place_of_the_span_it_announces() -> None:
    [raw] = decoded(pending())
    assert (raw.span_id, raw.parent_span_id, raw.flags) == (REAL, PARENT, [PENDING])
    assert raw.attributes["logfire.span_type"] == "pending_span"
    assert stamp_ns(raw, RECEIVED_NS) == RECEIVED_NS - PENDING_AGE_NS
    [real] = decoded(finished())
    assert (real.flags, stamp_ns(real, RECEIVED_NS)) == ([], RECEIVED_NS)


@pytest.mark.parametrize("parent", ["0" * 16, "", "x" * 16, "4" * 15, " " * 15 + "4", "٤" * 16, 4, ["4" * 16], True])
def test_a_parent_that_is_none(parent: Any) -> None:
    [raw] = decoded(pending(parent))
    assert (raw.span_id, raw.flags) == (REAL, [PENDING])
    assert raw.parent_span_id in ("", "0" * 15 + "4")
    assert raw.parent_span_id == "" or parent == " " * 15 + "4"


def test_a_record_that_announces_nothing_is_a_span_like_any_other() -> None:
    [raw] = decoded(pending(announced=""))
    assert (raw.span_id, raw.parent_span_id, raw.flags) == (OWN, "", [])


def span_rows(block: bytes) -> list[dict[str, Any]]:
    """Return bare rows with their names."""
    return [dict(zip(SPAN_COLUMNS, orjson.loads(line), strict=True)) for line in block.splitlines()]


@pytest.mark.parametrize("bodies", list(permutations([[pending()], [finished()], [pending()]])))
def test_the_finished_span_stays_whatever_comes_when(bodies: tuple[list[dict[str, Any]], ...]) -> None:
    entries = [
        SpoolEntry(number, "default", "traces", RECEIVED_NS + number, request(*spans))
        for number, spans in enumerate(bodies)
    ]
    result = transform(entries, {}, RECEIVED_NS)
    # The store keeps the row with the largest version of those that a batch brings of one span.
    row = max(span_rows(result.blocks["spans"]), key=itemgetter("version"))
    assert (row["span_id"], row["input_tokens"], row["end_ns"]) == (REAL, 5, RECEIVED_NS + 7)
    assert result.repeated_spans == 2
    late = transform(entries[:1] if bodies[0][0]["span_id"] != finished()["span_id"] else entries[1:2], {}, RECEIVED_NS)
    [announcement] = span_rows(late.blocks["spans"])
    assert announcement["version"] < row["version"]
