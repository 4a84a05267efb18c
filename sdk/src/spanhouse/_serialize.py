"""Turns any Python value into bounded JSON text without ever raising into the caller."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import re
import types
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MAX_CHARACTERS = 512 * 1024
#: Base64 has a bound of its own, some 3 MB of bytes; what is beyond it is cut to its beginning.
MAX_MEDIA_CHARACTERS = 4 * 1024 * 1024
MAX_DEPTH = 10
MAX_NODES = 20_000
MAX_REPR_CHARACTERS = 1000
_MEDIA_FROM = 4096
_MEDIA_HEAD = 2048
_BASE64_HEAD = re.compile(r"(?:data:[\w.+/-]{1,100};base64,)?([A-Za-z0-9+/_-]{512})")
_SMALL_ARRAY = 64
_SHORT_STRING = 8192
_ELLIPSIS = "…"

_quote = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_TEXT_TYPES = (uuid.UUID, pathlib.PurePath, decimal.Decimal)
_TIME_TYPES = (datetime.datetime, datetime.date, datetime.time)
_CODE_TYPES = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)


def quick(value: Any) -> str | None:
    """Return JSON for short plain scalars, ``None`` for what needs ``to_json``.

    Most arguments and results are such scalars, and this is an order of magnitude cheaper.
    """
    kind = type(value)
    if kind is str:
        return well_formed(_quote(value)) if len(value) <= _SHORT_STRING else None
    if kind is int:
        return repr(value) if -(10**300) < value < 10**300 else None
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return repr(value) if math.isfinite(value) else None
    return None


def to_json(value: Any) -> str:
    """Return JSON text of at most about ``MAX_CHARACTERS`` characters, and ``MAX_MEDIA_CHARACTERS`` of base64."""
    text = quick(value)
    if text is not None:
        return text
    try:
        return well_formed(_encode(plain(value)))
    except Exception:
        return f'"<unserialisable {_type_name(value)}>"'


def to_text(value: Any) -> str:
    """Return strings as they are (bounded) and everything else as JSON."""
    return well_formed(clip(value)) if isinstance(value, str) else to_json(value)


def arguments_to_json(quoted_names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return the JSON object of a call; ``quoted_names`` are JSON keys with their colon (``'"city":'``)."""
    parts = []
    if len(args) <= len(quoted_names):
        for key, value in zip(quoted_names, args, strict=False):
            text = quick(value)
            if text is None:
                break
            parts.append(key + text)
        else:
            for name, value in kwargs.items():
                text = quick(value)
                if text is None:
                    break
                parts.append(f"{_quote(name)}:{text}")
            else:
                return "{" + ",".join(parts) + "}"
    return to_json(named_arguments(quoted_names, args, kwargs))


def named_arguments(quoted_names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments by name; surplus positional ones are under ``*args``."""
    named = {json.loads(key[:-1]): value for key, value in zip(quoted_names, args, strict=False)}
    if len(args) > len(quoted_names):
        named["*args"] = list(args[len(quoted_names) :])
    named.update(kwargs)
    return named


def plain(value: Any) -> Any:
    """Return a bounded tree of dict, list, str, int, float, bool and None."""
    return _Reducer().reduce(value, 0)


def clip(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return ``text``, cut with an ellipsis when it is longer than ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def well_formed(text: str) -> str:
    """Return ``text`` without lone surrogates, which neither UTF-8 nor protobuf can carry."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


class _Reducer:
    """One walk over one value, with what is left of the budget and the path of open containers."""

    def __init__(self) -> None:
        self.characters_left = MAX_CHARACTERS
        self.media_characters_left = MAX_MEDIA_CHARACTERS
        self.nodes_left = MAX_NODES
        self.open_ids: set[int] = set()

    def reduce(self, value: Any, depth: int) -> Any:
        self.nodes_left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(str(value))
        if isinstance(value, enum.Enum):
            return self.reduce(value.value, depth + 1) if depth < MAX_DEPTH else self._repr(value)
        if isinstance(value, int):
            return int(value) if -(2**63) <= value < 2**63 else self._text(self._repr(value))
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if id(value) in self.open_ids:
            return f"<circular {_type_name(value)}>"
        if depth >= MAX_DEPTH or self.nodes_left <= 0 or self.characters_left <= 0:
            return _ELLIPSIS
        self.open_ids.add(id(value))
        try:
            return self._composite(value, depth + 1)
        except Exception:
            return f"<unserialisable {_type_name(value)}>"
        finally:
            self.open_ids.discard(id(value))

    def _composite(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._pairs(value.items(), depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._items(value, depth)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._text(_bytes_text(bytes(value)))
        if isinstance(value, _TIME_TYPES):
            return value.isoformat()
        if isinstance(value, _TEXT_TYPES):
            return self._text(str(value))
        if isinstance(value, _CODE_TYPES):
            return f"<{getattr(value, '__qualname__', None) or getattr(value, '__name__', _type_name(value))}>"
        if isinstance(value, BaseException):
            return {"type": _type_name(value), "message": self._text(safe(str, value))}
        if dataclasses.is_dataclass(value):
            return self._pairs(((f.name, getattr(value, f.name, None)) for f in dataclasses.fields(value)), depth)
        return self._foreign(value, depth)

    def _foreign(self, value: Any, depth: int) -> Any:
        # Looked up on the class: mocks, proxies and lazy objects answer to any name on the instance.
        kind = type(value)
        if hasattr(kind, "shape"):
            return self._array(value, depth)
        dump, arguments = getattr(kind, "model_dump", None), {"mode": "json"}
        if dump is None and hasattr(kind, "__fields__"):
            dump, arguments = getattr(kind, "dict", None), {}
        if callable(dump):
            # A broken dump is no reason to lose the value.
            with contextlib.suppress(Exception):
                return self.reduce(dump(value, **arguments), depth)
        if isinstance(value, Sequence):
            return self._items(value, depth)
        if isinstance(value, Iterator):
            return f"<{_type_name(value)}>"
        if type(value).__repr__ is object.__repr__:  # type: ignore[comparison-overlap]
            public = {k: v for k, v in getattr(value, "__dict__", {}).items() if not k.startswith("_")}
            if public:
                return self._pairs(public.items(), depth)
            return f"<{_type_name(value)}>"
        return self._text(self._repr(value))

    def _array(self, value: Any, depth: int) -> Any:
        shape = tuple(value.shape)
        if math.prod(shape) <= _SMALL_ARRAY and type(value).__module__.partition(".")[0] == "numpy":
            return self.reduce(value.tolist(), depth)
        # Larger arrays are weights or vectors no person reads, and other libraries' may lie on a device.
        dtype = getattr(value, "dtype", None)
        return f"<{_type_name(value)} shape={shape}{f' dtype={dtype}' if dtype is not None else ''}>"

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if self.nodes_left <= 0 or self.characters_left <= 0:
                result[_ELLIPSIS] = "truncated"
                break
            name = key if isinstance(key, str) else clip(safe(str, key), MAX_REPR_CHARACTERS)
            self.characters_left -= len(name)
            result[name] = self.reduce(value, depth)
        return result

    def _items(self, items: Iterable[Any], depth: int) -> list[Any]:
        result = []
        for item in items:
            if self.nodes_left <= 0 or self.characters_left <= 0:
                result.append(_ELLIPSIS)
                break
            result.append(self.reduce(item, depth))
        return result

    def _text(self, text: str) -> str:
        if len(text) >= _MEDIA_FROM and _is_base64(text):
            # An image must not use up the room of the words beside it.
            room = self.media_characters_left
            self.media_characters_left -= len(text) if len(text) <= room else 0
            return text if len(text) <= room else clip(text, _MEDIA_HEAD)
        text = clip(text, max(self.characters_left, 1))
        self.characters_left -= len(text)
        return text

    def _repr(self, value: Any) -> str:
        return clip(safe(repr, value), MAX_REPR_CHARACTERS)


def _is_base64(text: str) -> bool:
    """Tell whether this is base64: no word is that long, and one in one case would be a test's."""
    head = _BASE64_HEAD.match(text)
    return head is not None and not (head[1].isalpha() or head[1] in (head[1].upper(), head[1].lower()))


def safe(render: Any, value: Any) -> str:
    """Return what ``render`` (``str`` or ``repr``) makes of a value, whatever that does."""
    try:
        return well_formed(str(render(value)))
    except Exception:
        return f"<unprintable {_type_name(value)}>"


def _bytes_text(value: bytes) -> str:
    head = base64.b64encode(value[:48]).decode()
    return f"<{len(value)} bytes: {head}{_ELLIPSIS if len(value) > 48 else ''}>"


def _type_name(value: Any) -> str:
    return type(value).__name__
