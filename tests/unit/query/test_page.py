"""Cursors: only those given out are taken."""

from __future__ import annotations

import base64
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.page import (
    MONEY_TYPE,
    SortKey,
    after_cursor,
    choose_sort,
    cursor_after,
    decode_cursor,
    encode_cursor,
)

KNOWN = {"cost": SortKey("cost_usd", MONEY_TYPE), "start": SortKey("start_ns", "Int64")}
IDENTITY = (SortKey("start_ns", "Int64"), SortKey("trace_id", "String"))


def test_a_cursor_carries_the_last_row_exactly() -> None:
    sort = choose_sort("-cost", KNOWN, "-start", IDENTITY)
    cursor = cursor_after(sort, {"_k0": "0.000000000001", "_k1": "9223372036854775807", "_k2": "abc"})
    parameters: dict[str, object] = {}
    sql = after_cursor(sort, cursor, parameters)
    assert parameters == {"after0": Decimal("0.000000000001"), "after1": 2**63 - 1, "after2": "abc"}
    assert "<" in sql


def test_the_order_has_no_ties() -> None:
    sort = choose_sort("start", KNOWN, "-start", IDENTITY)
    assert sort.order_by == "start_ns ASC, trace_id ASC"


@pytest.mark.parametrize(("given", "meant"), [("-cost_usd", "-cost"), ("cost", "cost")])
def test_sorts_may_be_named_as_the_lists_name_them(given: str, meant: str) -> None:
    assert choose_sort(given, KNOWN, "-start", IDENTITY).label() == meant


def test_unknown_sorts_are_refused() -> None:
    with pytest.raises(BadQuery, match="cannot sort by 'price'"):
        choose_sort("price", KNOWN, "-start", IDENTITY)


def test_a_cursor_of_another_sort_is_refused() -> None:
    cursor = cursor_after(choose_sort("start", KNOWN, "start", IDENTITY), {"_k0": "1", "_k1": "a"})
    with pytest.raises(BadQuery):
        after_cursor(choose_sort("-start", KNOWN, "start", IDENTITY), cursor, {})


@pytest.mark.parametrize(
    "values", [["-cost", "nan", "1", "a"], ["-cost", "1", "1e3", "a"], ["-cost", "1", str(2**63), "a"],
               ["-cost", "1", "٣", "a"], ["-cost", "1", "1"], {"a": 1}, [1, 2, 3, 4], "x"],
)  # fmt: skip
def test_forged_cursors_are_refused(values: object) -> None:
    cursor = base64.urlsafe_b64encode(orjson.dumps(values)).decode()
    with pytest.raises(BadQuery, match="cursor"):
        after_cursor(choose_sort("-cost", KNOWN, "-start", IDENTITY), cursor, {})


@given(st.text(max_size=80))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        found = decode_cursor(text, 3)
    except BadQuery:
        return
    assert len(found) == 3
    assert decode_cursor(encode_cursor(found), 3) == found


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
def test_cursors_come_back_whole(values: list[str]) -> None:
    assert decode_cursor(encode_cursor(values), len(values)) == values
