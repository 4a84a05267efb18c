"""Paging by key: a cursor says after which row the next page begins, whatever was inserted since."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.fields import find_field
from spanhouse_server.query.times import Window

MONEY_TYPE = "Decimal(18, 12)"
_MONEY = re.compile(r"^-?\d{1,6}(\.\d{1,12})?$", re.ASCII)
_WHOLE = re.compile(r"^-?\d{1,20}$", re.ASCII)
_LIMITS = {"Int64": (-(2**63), 2**63 - 1), "UInt64": (0, 2**64 - 1)}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list is asked for, as texts from outside except the time range."""

    window: Window = field(default_factory=Window)
    q: str = ""
    sort: str = ""
    limit: int = 50
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One thing to sort by: an SQL expression without NULLs and its type.

    The type is ``String``, ``Int64``, ``UInt64`` or ``MONEY_TYPE``: those that a cursor carries exactly.
    """

    sql: str
    type: str


@dataclass(frozen=True, slots=True)
class Sort:
    """An order that no two rows share: the chosen key, then the table's identity."""

    name: str
    keys: tuple[SortKey, ...]
    descending: bool

    @property
    def order_by(self) -> str:
        """Return the ORDER BY list."""
        way = "DESC" if self.descending else "ASC"
        return ", ".join(f"{key.sql} {way}" for key in self.keys)

    @property
    def columns(self) -> str:
        """Return the SELECT list that ``cursor_after`` reads, named ``_k0 _k1 …``, as text."""
        return ", ".join(f"toString({key.sql}) AS _k{i}" for i, key in enumerate(self.keys))

    def label(self) -> str:
        """Return the sort as written in cursors."""
        return ("-" if self.descending else "") + self.name


def choose_sort(text: str, known: dict[str, SortKey], default: str, identity: Sequence[SortKey]) -> Sort:
    """Return the order for ``text``, e.g. ``cost``, ``-cost`` or ``-cost_usd``; raise ``BadQuery`` for unknown names.

    Without a sign the order is ascending. ``identity`` makes it total, so that ties never repeat
    or skip a row.
    """
    written = text.strip() or default
    descending = written.startswith("-")
    name = written.lstrip("+-")
    if name not in known and (field := find_field(name)) is not None:
        name = field.name  # `duration_ms`, as the lists call it
    if name not in known:
        raise BadQuery(
            f"cannot sort by {name[:60]!r}", f"sort by one of {', '.join(sorted(known))}, with - for descending"
        )
    keys = (known[name], *(key for key in identity if key != known[name]))
    return Sort(name, keys, descending)


def cursor_after(sort: Sort, row: dict[str, Any]) -> str:
    """Return the cursor of the page after ``row``."""
    return encode_cursor([sort.label(), *(row[f"_k{i}"] for i in range(len(sort.keys)))])


def after_cursor(sort: Sort, cursor: str, parameters: dict[str, Any]) -> str:
    """Return the condition for rows after the cursor, adding its values to ``parameters``."""
    if not cursor:
        return "1"
    values = decode_cursor(cursor, len(sort.keys) + 1)
    if values[0] != sort.label():
        raise BadQuery("the cursor belongs to another sort order", "leave the cursor out to begin again")
    left, right = [], []
    for index, (key, value) in enumerate(zip(sort.keys, values[1:], strict=True)):
        parameters[f"after{index}"] = _checked(value, key.type)
        left.append(key.sql)
        right.append(f"{{after{index}:{key.type}}}")
    sign = "<" if sort.descending else ">"
    condition = f"({', '.join(left)}) {sign} ({', '.join(right)})"
    # The tuple comparison alone does not narrow the primary key; its first part does.
    return f"({left[0]} {sign}= {right[0]} AND {condition})"


def encode_cursor(values: Sequence[str]) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).rstrip(b"=").decode()


def decode_cursor(cursor: str, count: int) -> list[str]:
    """Return the texts in a cursor; raise ``BadQuery`` for anything ``encode_cursor`` did not make."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, UnicodeError):
        values = None
    if not isinstance(values, list) or len(values) != count or not all(isinstance(v, str) for v in values):
        raise bad_cursor()
    return values


def bad_cursor() -> BadQuery:
    """Return the error for a cursor that is not one of ours."""
    return BadQuery("the cursor is not one that this list gave out", "leave the cursor out to begin again")


def _checked(value: str, type_name: str) -> Any:
    """Return a cursor value as its type; a forged one must be the caller's fault, not the store's."""
    if type_name == "String":
        return value
    if type_name == MONEY_TYPE:
        if _MONEY.match(value):
            return Decimal(value)
        raise bad_cursor()
    lowest, highest = _LIMITS[type_name]
    if not _WHOLE.match(value) or not lowest <= int(value) <= highest:
        raise bad_cursor()
    return int(value)
