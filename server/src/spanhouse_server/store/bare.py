"""Rows without the names of their columns, for the tables that every span goes into.

A name is often longer than its value, and there are 95 of them: rows without names are a fifth shorter to
write, to hand over and to read. The columns go with the statement instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter

from spanhouse_server.model.facts import IndexRow
from spanhouse_server.model.raw import RawSpan, Scope
from spanhouse_server.model.span import Span
from spanhouse_server.store.jsontext import dump
from spanhouse_server.store.rows import Row, span_row

_NOWHERE = RawSpan("", "", "", "", "", 0, 0, "", "", {}, [], [], {}, Scope())
#: The columns of ``rows.span_row``, in its order.
SPAN_COLUMNS = tuple(span_row("", 0, 0, Span(raw=_NOWHERE)))
#: The scope is in ``span_index`` where it tells something, as ``call_scope``.
INDEX_COLUMNS = tuple(each.name for each in fields(IndexRow) if each.name != "scope_name")
#: The columns of bare rows by table.
COLUMNS = {"spans": SPAN_COLUMNS, "span_index": INDEX_COLUMNS}
_INDEX_VALUES = attrgetter(*INDEX_COLUMNS)


def bare_span(row: Row) -> bytes:
    """Return a row made by ``rows.span_row`` as JSON values in the order of ``SPAN_COLUMNS``."""
    return dump(list(row.values()))


def bare_index(rows: Iterable[IndexRow]) -> bytes:
    """Return rows of ``span_index`` as newline-separated JSON values in the order of ``INDEX_COLUMNS``."""
    return b"\n".join([dump(_INDEX_VALUES(row)) for row in rows])
