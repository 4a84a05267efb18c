"""OTLP attribute values to plain, JSON-ready Python values."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Return key-value pairs as a dict; of a repeated key the last value wins."""
    plain: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        # Most attributes are non-empty strings: reading one directly is cheaper than asking
        # which member of the oneof is set.
        text = value.string_value
        plain[pair.key] = text or _other(value)
    return plain


def any_value(value: AnyValue) -> Any:
    """Return one attribute value; a value without content is ``None``."""
    return value.string_value or _other(value)


def number(value: float) -> float | str:
    """Return a finite number as it is, and what JSON has no number for as its OTLP/JSON name."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def finite(value: float) -> float | None:
    """Return a finite number, or nothing for NaN and infinities."""
    return value if math.isfinite(value) else None


def _other(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which == "int_value":
        return value.int_value
    if which == "double_value":
        return number(value.double_value)
    if which == "bool_value":
        return value.bool_value
    if which == "array_value":
        return [any_value(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return attributes(value.kvlist_value.values)
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    # An empty string, or no value at all (also string_value_strindex, which only profiles use).
    return "" if which == "string_value" else None
