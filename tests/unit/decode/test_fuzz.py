"""Whatever arrives: an answer or UndecodableBody, never another exception."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanhouse_server.decode import check, decode, parse
from spanhouse_server.errors import UndecodableBody
from tests.unit.decode.samples import FULL, JSON, PROTOBUF, RECEIVED_NS, as_json

SIGNALS = sorted(FULL)
VALID = {signal: FULL[signal]().SerializeToString() for signal in SIGNALS}
VALID_JSON = {signal: as_json(FULL[signal]()) for signal in SIGNALS}

Path = tuple[str | int, ...]


def _paths(tree: Any, path: Path = ()) -> list[Path]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [(*path, key) for key, _ in inner] + [found for key, item in inner for found in _paths(item, (*path, key))]


def _put(tree: Any, path: Path, value: Any) -> None:
    for key in path[:-1]:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):  # an earlier mutation cut this branch off
            return
    last = path[-1]
    if isinstance(tree, dict) == isinstance(last, str) and isinstance(tree, dict | list):
        with suppress(IndexError):
            tree[last] = value


PATHS = {signal: _paths(VALID_JSON[signal]) for signal in SIGNALS}

fuzz = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

JUNK = [b"", b"\xff", b"\\ud83d", b"{", b"9" * 400, b'"', b"null"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["NaN", "Infinity", "5b8efff798038103d269b633813fc60c", "AP8=", "-1", "1e400", "\x00", "\U0001f600"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def survive(signal: str, media_type: str, body: bytes) -> None:
    try:
        message = parse(signal, media_type, body)
    except UndecodableBody as error:
        refusal = error.message
    else:
        refusal = ""
        _survive_read(signal, message)
    assert "\n" not in refusal


def _survive_read(signal: str, message: Any) -> None:
    checked = check(signal, message)
    wire = message.SerializeToString()
    # As the pipeline does it: the body is kept as protobuf and read again.
    decoded = decode(signal, parse(signal, PROTOBUF, wire), RECEIVED_NS)
    kept = len(decoded.spans) + len(decoded.logs) + len(decoded.points)
    assert (kept, decoded.rejected, decoded.message) == (checked.accepted, checked.rejected, checked.message)
    orjson.dumps(decoded)
    orjson.dumps(checked)


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("signal", SIGNALS)
@fuzz
@given(body=st.binary(max_size=300))
def test_arbitrary_bytes(signal: str, media_type: str, body: bytes) -> None:
    survive(signal, media_type, body)


@pytest.mark.parametrize("signal", SIGNALS)
@fuzz
@given(data=st.data())
def test_mutated_protobuf(signal: str, data: st.DataObject) -> None:
    body = bytearray(VALID[signal])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"])):
            case "flip":
                body[at] = data.draw(st.integers(0, 255))
            case "cut":
                del body[at : at + data.draw(st.integers(1, 8))]
            case "insert":
                body[at:at] = data.draw(st.binary(max_size=8))
            case _:
                body[at:at] = body[at : at + 30]
        if not body:
            break
    survive(signal, PROTOBUF, bytes(body))


@pytest.mark.parametrize("signal", SIGNALS)
@fuzz
@given(data=st.data())
def test_mutated_json(signal: str, data: st.DataObject) -> None:
    tree = orjson.loads(orjson.dumps(VALID_JSON[signal]))
    for path in data.draw(st.lists(st.sampled_from(PATHS[signal]), min_size=1, max_size=3)):
        _put(tree, path, data.draw(values.filter(_writable)))
    survive(signal, JSON, orjson.dumps(tree))


@pytest.mark.parametrize("signal", SIGNALS)
@fuzz
@given(data=st.data())
def test_mutated_json_text(signal: str, data: st.DataObject) -> None:
    body = bytearray(orjson.dumps(VALID_JSON[signal]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 4))] = data.draw(st.sampled_from(JUNK))
    survive(signal, JSON, bytes(body))


@fuzz
@given(value=values)
def test_arbitrary_json(value: Any) -> None:
    try:
        body = orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits and lone surrogates, which orjson does not write
        return
    for signal in SIGNALS:
        survive(signal, JSON, body)


def _writable(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True
