"""JSON text that ClickHouse can always read, whatever a sender put into an attribute."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

#: orjson stops at 254 levels; what lies deeper than this is replaced by a note.
MAX_DEPTH = 200
TOO_DEEP = "(nested too deep to keep)"


def dump(value: Any) -> bytes:
    """Return ``value`` as JSON; never raises for values made of plain Python types.

    The fast path is orjson's. What it refuses (lone surrogates, integers past 64 bits, deep
    nesting, foreign types) is mended and dumped again.
    """
    try:
        return orjson.dumps(value, default=_default)
    except TypeError:
        return orjson.dumps(clean(value), default=_default)


def dump_sorted(value: Any) -> bytes:
    """Return ``value`` as JSON with sorted keys: the same content gives the same bytes."""
    try:
        return orjson.dumps(value, default=_default, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return orjson.dumps(clean(value), default=_default, option=orjson.OPT_SORT_KEYS)


def dump_text(value: Any) -> str:
    """Return ``value`` as JSON in a ``str``."""
    return dump(value).decode()


def clean(value: Any, depth: int = 0) -> Any:
    """Return a copy without what JSON or UTF-8 cannot carry.

    Lone surrogates become U+FFFD, integers past 64 bits become text (exact), keys become text.
    """
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, (bool, float, Decimal)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, dict):
        return {clean_text(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(item, depth + 1) for item in value]
    if hasattr(type(value), "__dataclass_fields__"):
        return {name: clean(getattr(value, name), depth + 1) for name in type(value).__dataclass_fields__}
    return clean_text(str(value))


def clean_text(text: str) -> str:
    """Return ``text`` with lone surrogates replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    if isinstance(value, (set, frozenset)):
        return list(value)
    return str(value)
