"""Python values as OTLP attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from spanhouse_collector.parse.jsontext import dumps, mend

_MAX_INT = 2**63


def any_value(value: Any) -> AnyValue:
    """Return an OTLP value: scalars and lists of them as such, anything else as JSON text."""
    if isinstance(value, str):
        return AnyValue(string_value=mend(value))
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value) if -_MAX_INT <= value < _MAX_INT else AnyValue(double_value=float(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    return AnyValue(string_value=dumps(value))


def key_values(attributes: Mapping[str, Any]) -> Iterable[KeyValue]:
    """Yield the attributes that have a value, in their order."""
    for key, value in attributes.items():
        if value is not None and value != "" and value != []:
            yield KeyValue(key=mend(key), value=any_value(value))
