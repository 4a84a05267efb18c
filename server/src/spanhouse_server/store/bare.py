"""Rows without the names of their columns, for the tables that every span goes into.

A name is often longer than its value, and there are 95 of them: rows without names are a fifth shorter to
write, to hand over and to read. The columns go with the statement instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from spanhouse_server.model.facts import IndexRow
from spanhouse_server.store import rows
from spanhouse_server.store.jsontext import dump

SPAN_COLUMNS = rows.SPAN_COLUMNS
#: The scope is in ``span_index`` where it tells something, as ``call_scope``.
INDEX_COLUMNS = tuple(each.name for each in fields(IndexRow) if each.name != "scope_name")
#: The columns of bare rows by table.
COLUMNS = {"spans": SPAN_COLUMNS, "span_index": INDEX_COLUMNS}
_INDEX_VALUES = attrgetter(*INDEX_COLUMNS)


def bare_span(values: Sequence[Any]) -> bytes:
    """Return a row made by ``rows.span_values`` as JSON values in the order of ``SPAN_COLUMNS``."""
    return dump(values)


def bare_index(settled: Iterable[IndexRow]) -> bytes:
    """Return rows of ``span_index`` as newline-separated JSON values in the order of ``INDEX_COLUMNS``."""
    return b"\n".join([dump(_INDEX_VALUES(row)) for row in settled])
