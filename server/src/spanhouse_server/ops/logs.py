"""What the server says about itself: one line per event, without telemetry content and secrets.

Lines are ``time level logger message key=value…`` (logfmt after the message). Fields come from
``extra={"fields": {...}}``. ``redact`` is the last thing that happens to a line, so that a secret
in a third party's message or traceback does not reach the terminal either.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

REDACTED = "[redacted]"

_HIDDEN_NAMES = (
    r"(?:proxy-)?authorization|set-cookie|cookie|(?:x-)?api[-_ ]?key|(?:x-)?spanhouse[-_]key|[a-z_-]*admin[-_]key"
    r"|x-goog-api-key|[a-z_]*secret(?:[-_]?key)?|access[-_]?key|password|passwd|access[-_]token|auth[-_]token"
)
_SCHEMES = r"(?:Bearer|Basic|Token|Digest)"
_PATTERNS = (
    # name: value, name=value, "name": "value", (b'name', b'value') and URL-encoded forms of the same
    re.compile(
        rf"""(?i)(\b(?:{_HIDDEN_NAMES})\b['"]?\s*(?:=|:|,|%3[aAdD])\s*(?:b?['"]\s*)?)"""
        rf"""(?!\[redacted\])((?:{_SCHEMES}(?:\s|%20)+)?[^\s'",;&)}}\]]+)"""
    ),
    re.compile(rf"(?i)(\b{_SCHEMES}(?:\s|%20)+)(?!\[redacted\])([A-Za-z0-9._~+/=-]{{6,}})"),
    re.compile(
        r"()(\b(?:sk|pk|rk|sh|shk|gsk|hf|xai|lsv2|ghp|AKIA|AIza)[-_][A-Za-z0-9_-]{12,}|\bAIza[A-Za-z0-9_-]{30,})"
    ),
    # user:password@ in a DSN
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)([^\s@/]+)(?=@)"),
)


def redact(text: str) -> str:
    """Return ``text`` with everything that looks like a credential replaced."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{REDACTED}", text)
    return text


class RedactingFilter(logging.Filter):
    """Rewrites a record's message before any handler after it can see a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; always let it pass."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        record.msg, record.args = redact(message), ()
        return True


class LineFormatter(logging.Formatter):
    """Renders one event on one line, a traceback on the lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line."""
        stamp = datetime.fromtimestamp(record.created, UTC)
        parts = [f"{stamp:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z", record.levelname.lower(), record.name]
        parts.append(record.getMessage().replace("\n", "\\n"))
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        parts.extend(f"{name}={_quoted(value)}" for name, value in fields.items())
        line = " ".join(parts)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line += "\n" + record.exc_text
        return redact(line)


def _quoted(value: object) -> str:
    text = str(value)
    if text and not re.search(r'[\s"=]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def setup_logging(level: str = "info", stream: TextIO | None = None) -> logging.Handler:
    """Send every logger through one redacting handler on ``stream`` (stderr) and return it.

    Replaces the root's handlers; access logs are off, since each request is counted instead.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
    # Chatty libraries say at info what only their own developers need.
    for name in ("clickhouse_connect", "alembic", "httpx", "aiohttp.access", "urllib3"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return handler


class Throttle:
    """Lets one event per key and interval through, and counts what it held back."""

    def __init__(self, interval_s: float = 60.0) -> None:
        self._interval_s = interval_s
        self._seen: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def admit(self, key: str) -> int | None:
        """Return how many events of ``key`` were held back since the last one, or ``None`` to stay silent."""
        now_s = time.monotonic()
        with self._lock:
            last_s, held = self._seen.get(key, (-1e18, 0))
            if now_s - last_s < self._interval_s:
                self._seen[key] = (last_s, held + 1)
                return None
            self._seen[key] = (now_s, 0)
            return held
