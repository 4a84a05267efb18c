"""OTLP/JSON to protobuf messages.

``google.protobuf.json_format`` cannot be used: it takes hex ids for base64, and is several times
slower. Readers for each field are made once from the message descriptors. A record (span, log
record, metric) that cannot be read is replaced by a marked one that ``refuse`` knows, so that it
is refused alone; only trouble above the records refuses the body.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from spanhouse_server.decode.refuse import NOT_HEX, UNREADABLE
from spanhouse_server.errors import UndecodableBody

#: How many messages deep an attribute value may nest. Protobuf readers stop at 100 in all, and
#: what is accepted as JSON must be readable as protobuf later; 8 lie above the deepest attribute.
MAX_VALUE_DEPTH = 92

_UINT64_MAX = 2**64 - 1
_RECORDS = ("Span", "LogRecord", "Metric")
_IDS = ("trace_id", "span_id", "parent_span_id")
_FAULTS = (TypeError, ValueError, AttributeError, KeyError, OverflowError)
_ESCAPES = re.compile(
    rb"(?:\\[^u])+"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|\\u([dD][89a-fA-F][0-9a-fA-F]{2})"
)

_Reader = Callable[[Any, Any], None]


class _FieldError(ValueError):
    """A field does not hold what OTLP says; ``path`` leads to it, ``why`` ends a sentence."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.path = path
        self.why = why


def parse_json(request: Any, body: bytes) -> Any:
    """Fill an empty export request from OTLP/JSON and return it. Raises ``UndecodableBody``."""
    value = load_json(body)
    if not isinstance(value, dict):
        raise UndecodableBody("the body is JSON but not an object", "send an OTLP export request")
    try:
        _fill(request, value, _readers(request.DESCRIPTOR))
    except _FieldError as error:
        raise UndecodableBody(f"the body is not an OTLP/JSON request: {error}") from None
    return request


def load_json(body: bytes) -> Any:
    """Return what a JSON body holds, mended where senders are known to be careless. Raises ``UndecodableBody``."""
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        first = error
    # JavaScript cuts strings between the halves of a character and escapes the lone half.
    mended = _ESCAPES.sub(lambda match: b"\\ufffd" if match.group(1) else match.group(0), body)
    if mended != body:
        try:
            return orjson.loads(mended)
        except orjson.JSONDecodeError as error:
            first = error
    raise _explain(body, str(first))


def _explain(body: bytes, error: str) -> UndecodableBody:
    if not body.strip():
        return UndecodableBody("the body is empty", "an empty OTLP/JSON request is {}")
    # The tag of the only field that every OTLP request has in protobuf is a line feed.
    if body[:1] == b"\n" and body[:64].lstrip()[:1] not in (b"{", b"["):
        return UndecodableBody(
            "the body was announced as JSON but looks like protobuf", "send Content-Type: application/x-protobuf"
        )
    if "UTF-8" in error:
        return UndecodableBody("the body is not valid UTF-8")
    if "depth" in error:
        return UndecodableBody("the JSON is nested deeper than 1024 levels", "flatten the attribute")
    return UndecodableBody(f"the body is not valid JSON: {error}")


def _fill(message: Any, value: dict[str, Any], readers: dict[str, _Reader]) -> None:
    for name, content in value.items():
        reader = readers.get(name)
        if reader is None or content is None:
            continue
        try:
            reader(message, content)
        except _FieldError as error:
            raise _FieldError(f"{name}.{error.path}" if error.path else name, error.why) from None
        except _FAULTS:
            raise _FieldError(name, f"cannot be {_shown(content)}") from None


def _shown(content: Any) -> str:
    if isinstance(content, dict):
        return "an object like this one"
    if isinstance(content, list):
        return "a list like this one"
    text = orjson.dumps(content).decode()
    return text if len(text) <= 60 else text[:59] + "…"


@functools.cache
def _readers(descriptor: Descriptor) -> dict[str, _Reader]:
    return {field.json_name: _reader(field) for field in descriptor.fields}


def _reader(field: FieldDescriptor) -> _Reader:
    name = field.name
    if field.message_type is not None:
        return _message_reader(field, name, field.message_type)
    if name in _IDS:
        return lambda message, content: setattr(message, name, _id(content))
    if name.endswith("time_unix_nano"):
        return lambda message, content: setattr(message, name, _time(content))
    convert = _converter(field)
    if field.is_repeated:
        return lambda message, content: getattr(message, name).extend([convert(item) for item in _list(content)])
    return lambda message, content: setattr(message, name, convert(content))


def _message_reader(field: FieldDescriptor, name: str, kind: Descriptor) -> _Reader:
    if kind.name == "KeyValue":
        return lambda message, content: _key_values(getattr(message, name), content, 0)
    if kind.name == "AnyValue":
        return lambda message, content: _any_value(getattr(message, name), content, 0)
    if field.is_repeated and kind.name in _RECORDS:
        return lambda message, content: _records(getattr(message, name), content, kind)

    def read_many(message: Any, content: Any) -> None:
        readers = _readers(kind)
        add = getattr(message, name).add
        for item in _list(content):
            _fill(add(), item, readers)

    def read_one(message: Any, content: Any) -> None:
        member = getattr(message, name)
        member.SetInParent()
        _fill(member, content, _readers(kind))

    return read_many if field.is_repeated else read_one


def _records(container: Any, items: Any, kind: Descriptor) -> None:
    readers = _readers(kind)
    for item in _list(items):
        record = container.add()
        try:
            _fill(record, item, readers)
        except _FAULTS as error:
            why = str(error) if isinstance(error, _FieldError) else "is not an object"
            record.Clear()
            mark_unreadable(record, kind, item, UNREADABLE + f"because {why}")


def mark_unreadable(record: Any, kind: Descriptor, item: Any, why: str) -> None:
    """Make an empty record one that ``refuse`` knows; of a metric in JSON (``item``) each data point is counted."""
    if kind.name != "Metric":
        record.trace_id = why.encode()
        return
    record.description = why
    for _ in range(_count_points(item)):
        record.gauge.data_points.add()


def _count_points(metric: Any) -> int:
    data = metric.values() if isinstance(metric, dict) else ()
    points = [len(d["dataPoints"]) for d in data if isinstance(d, dict) and isinstance(d.get("dataPoints"), list)]
    return max([1, *points])


def _key_values(container: Any, pairs: Any, depth: int) -> None:
    add = container.add
    for pair in _list(pairs):
        item = add()
        item.key = pair.get("key") or ""
        value = pair.get("value")
        if value is None:
            continue
        text = value.get("stringValue")
        if text is None:
            _any_value(item.value, value, depth)
        else:
            item.value.string_value = text


def _any_value(target: Any, value: dict[str, Any], depth: int) -> None:
    if depth > MAX_VALUE_DEPTH:
        raise _FieldError("", "is nested too deep")
    for name, content in value.items():
        if content is None:
            continue
        if name == "stringValue":
            target.string_value = content
        elif name == "intValue":
            _set_number(target, content)
        elif name == "doubleValue":
            target.double_value = _double(content)
        elif name == "boolValue":
            target.bool_value = _bool(content)
        elif name == "arrayValue":
            array = target.array_value
            array.SetInParent()
            for item in _list(content.get("values") or []):
                _any_value(array.values.add(), item, depth + 2)
        elif name == "kvlistValue":
            target.kvlist_value.SetInParent()
            _key_values(target.kvlist_value.values, content.get("values") or [], depth + 3)
        elif name == "bytesValue":
            target.bytes_value = _bytes(content)


def _set_number(target: Any, content: Any) -> None:
    # JavaScript has no 64-bit integers: what does not fit one is kept as a float.
    try:
        target.int_value = _integer(content)
    except (ValueError, OverflowError):
        target.double_value = _double(content)


def _list(content: Any) -> list[Any]:
    if type(content) is not list:
        raise _FieldError("", "must be a list")
    return content


def _id(content: Any) -> bytes:
    try:
        return bytes.fromhex(content)
    except ValueError:
        return NOT_HEX + str(content)[:64].encode()


def _time(content: Any) -> int:
    """Return nanoseconds; what is no such number becomes one that is refused as a time."""
    try:
        time_ns = _integer(content)
    except (ValueError, OverflowError):
        return _UINT64_MAX
    return time_ns if 0 <= time_ns < _UINT64_MAX else _UINT64_MAX


def _integer(content: Any) -> int:
    if type(content) is int:
        return content
    if type(content) is str:
        if content.removeprefix("-").isdecimal():
            return int(content)
        content = float(content)  # "1e3" is a legal integer in protobuf's JSON
    if type(content) is not float:
        raise TypeError
    if not content.is_integer():
        raise ValueError
    return int(content)


def _double(content: Any) -> float:
    if type(content) is bool:
        raise TypeError
    return float(content)


def _bool(content: Any) -> bool:
    if type(content) is not bool:
        raise TypeError
    return content


def _bytes(content: str) -> bytes:
    text = content.translate(_URL_SAFE)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


_URL_SAFE = str.maketrans("-_", "+/")


def _converter(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.type == FieldDescriptor.TYPE_ENUM:
        names = {name: value.number for name, value in field.enum_type.values_by_name.items()}
        return lambda content: names[content] if content in names else _integer(content)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _bool
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return _double
    if field.type == FieldDescriptor.TYPE_STRING:
        return lambda content: content
    return _integer
