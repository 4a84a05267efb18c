import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from spanhouse_server.ops.logs import REDACTED, Throttle, redact, setup_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup_logging("info", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


SECRET = "sh_9fK2mQ8vXw71LpZr"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"authorization=Bearer%20{SECRET}",
        f'{{"Authorization": "Bearer {SECRET}"}}',
        f"headers=[(b'authorization', b'Bearer {SECRET}')]",
        f"headers=[(b'x-api-key', b'{SECRET}')]",
        f"x-spanhouse-key: {SECRET}, other: 1",
        f"got 401 from upstream with Bearer {SECRET}",
        f"Authorization: Basic {SECRET}==",
        f"SPANHOUSE_ADMIN_KEY={SECRET}",
        f"api_key='{SECRET}' model=gpt-4o",
        f"Set-Cookie: {SECRET}; Path=/",
        f"clickhouse://default:{SECRET}@db:8123/spanhouse",
        f"postgresql+psycopg://user:{SECRET}@db/x",
        f"Incorrect API key provided: {SECRET}.",
        f"password={SECRET}",
    ],
)
def test_redact_hides_credentials(text: str) -> None:
    cleaned = redact(text)
    assert SECRET not in cleaned
    assert REDACTED in cleaned


@pytest.mark.parametrize("key", ["sk-proj-abcdefghij0123456789", "AIzaSyA0123456789abcdefghijklmnopqrstuv"])
def test_redact_knows_providers_keys(key: str) -> None:
    assert key not in redact(f"calling with {key} failed")


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=1234 output_tokens=56",
        "listening on http://127.0.0.1:4318",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 stored",
        "token usage of the basic model is high",
        "the key is unknown or revoked",
    ],
)
def test_redact_leaves_the_rest(text: str) -> None:
    assert redact(text) == text


def test_line_has_fields_and_no_secrets(stream: io.StringIO) -> None:
    log = logging.getLogger("spanhouse.test")
    log.info("stored %d spans", 7, extra={"fields": {"project": "default", "why": "two words", "api_key": SECRET}})
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert ' info spanhouse.test stored 7 spans project=default why="two words" ' in line
    assert SECRET not in line


def test_tracebacks_and_arguments_are_redacted(stream: io.StringIO) -> None:
    log = logging.getLogger("other.library")
    try:
        raise ValueError(f"Authorization: Bearer {SECRET}")
    except ValueError:
        log.exception("call with %s failed", {"authorization": f"Bearer {SECRET}"})
    log.warning("%d is not a number", "x")
    text = stream.getvalue()
    assert "Traceback" in text
    assert "is not a number" in text
    assert SECRET not in text


def test_newlines_do_not_forge_lines(stream: io.StringIO) -> None:
    logging.getLogger("spanhouse.test").warning("bad %s", "a\n2026-01-01T00:00:00.000Z info forged")
    assert stream.getvalue().count("\n") == 1


def test_access_log_is_off(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info("GET /?key=%s", SECRET)
    assert stream.getvalue() == ""


def test_throttle_counts_what_it_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1000.0
    monkeypatch.setattr("spanhouse_server.ops.logs.time", SimpleNamespace(monotonic=lambda: now_s))
    throttle = Throttle(interval_s=60)
    assert throttle.admit("a") == 0
    assert throttle.admit("a") is None
    assert throttle.admit("a") is None
    assert throttle.admit("b") == 0
    now_s += 59
    assert throttle.admit("a") is None
    now_s += 1
    assert throttle.admit("a") == 3
    assert throttle.admit("a") is None
