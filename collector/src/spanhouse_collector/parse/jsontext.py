"""JSON as servers really send it: tolerant in, always valid out."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

#: Stands for "this was not JSON", which ``None`` (a valid JSON value) cannot.
MISSING: Any = object()
#: Deeper structures are replaced on the way out; orjson itself stops at 254 levels.
MAX_DEPTH = 64
_MAX_INT = 2**63
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]', re.DOTALL)


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """Return the value a JSON text spells, or ``MISSING``. Never raises.

    What orjson refuses and Python's own parser takes (NaN, lone surrogates, bytes that are no UTF-8)
    is read by the latter.
    """
    try:
        return orjson.loads(data)
    except (ValueError, TypeError):
        pass
    try:
        text = data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")
        return json.loads(text)
    except (ValueError, RecursionError):
        return MISSING


def loads_cut(data: bytes) -> Any:
    """Return what the beginning of a JSON text spells that was cut off, or ``MISSING``. Never raises.

    Only whole values count: a number or text that the cut went through is left out.
    """
    stack: list[bytes] = []
    safe, closers = 0, b""
    for found in _TOKENS.finditer(data):
        token = found.group()
        if token in (b"{", b"["):
            stack.append(b"}" if token == b"{" else b"]")
            safe = found.end()
        elif token in (b"}", b"]"):
            if not stack or stack.pop() != token:
                break
            safe = found.end()
        elif token == b",":
            safe = found.start()
        else:
            continue
        if len(stack) > 4 * MAX_DEPTH:
            break
        closers = b"".join(reversed(stack))
    return loads(data[:safe] + closers) if safe else MISSING


def dumps(value: Any) -> str:
    """Return JSON text for any value that ``loads`` may have produced. Never raises."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        return orjson.dumps(_plain(value, 0)).decode()


def mend(text: str) -> str:
    """Return text that can be encoded: halves of a pair are joined, lone surrogates replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return "[nested too deeply]"
        return {mend(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if depth >= MAX_DEPTH:
            return "[nested too deeply]"
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if -_MAX_INT <= value < _MAX_INT else float(value) if abs(value) < 10**300 else str(value)[:64]
    return str(value)
