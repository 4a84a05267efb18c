"""Fallbacks: a list of targets tried in order until one gives an answer worth passing on.

The header holds JSON::

    [{"onCodes": [429, {"from": 500, "to": 599}]},
     {"target-url": "https://api.example.com", "headers": {"Authorization": "Bearer …"},
      "onCodes": [429], "bodyKeyOverride": {"model": "other"}}]

The list is the whole chain, as Helicone reads it: the first target is tried first, and the
``onCodes`` of a target say which of *its own* answers make the next one be tried. A target without
``target-url`` is the upstream of the base URL. Without ``onCodes`` a target is left on 408, 429 and
5xx; an attempt that got no answer always goes on. The last target's answer is passed on whatever it is.

Two rules keep secrets where they belong. Every target passes the same address guard as any other
upstream. And to another origin (scheme, host, port) than the caller addressed, no credential of the
caller is sent: of its headers only those in ``PORTABLE``, and what the target's own ``headers`` name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from spanhouse_collector.policy.errors import MalformedPolicy

MAX_TARGETS = 8
_MAX_HEADERS = 32
_MAX_JSON_BYTES = 16 * 1024
#: Headers that prove who calls, of the providers known.
CREDENTIALS = frozenset(
    [
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "x-goog-user-project",
        "cookie",
        "ocp-apim-subscription-key",
        "x-amz-security-token",
        "x-auth-token",
        "openai-organization",
        "openai-project",
    ]
)
#: What goes along to another origin; a list of what may, since nobody knows all headers that hold a secret.
PORTABLE = frozenset(
    [
        "accept",
        "accept-encoding",
        "accept-language",
        "content-type",
        "content-encoding",
        "user-agent",
        "anthropic-version",
        "anthropic-beta",
        "openai-beta",
        "idempotency-key",
        "traceparent",
        "tracestate",
        "baggage",
    ]
)
#: Query parameters that prove who calls.
CREDENTIAL_PARAMETERS = frozenset({"key", "api_key", "api-key", "access_token", "token", "subscription-key"})
#: Headers a target may not set: they belong to the connection or to the relay.
_NOT_SETTABLE = frozenset(
    ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "trailer", "keep-alive", "expect"]
)
_DEFAULT_CODES = ((408, 408), (429, 429), (500, 599))


@dataclass(frozen=True, slots=True)
class FallbackTarget:
    """One upstream of a chain: ``url`` is ``None`` for the base URL's own.

    ``codes`` are inclusive ranges of statuses on which the chain goes on. ``repr`` hides the headers:
    they usually hold a key.
    """

    url: str | None
    headers: tuple[tuple[str, str], ...]
    codes: tuple[tuple[int, int], ...]
    body_override: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"FallbackTarget(url={self.url!r}, headers=({len(self.headers)} hidden), codes={self.codes!r})"

    def leaves_on(self, status: int | None) -> bool:
        """Tell whether the next target is to be tried after this answer (``None``: no answer)."""
        return status is None or any(low <= status <= high for low, high in self.codes)


def parse_fallbacks(value: str, source: str) -> tuple[FallbackTarget, ...]:
    """Read the header's JSON; ``source`` names it in ``MalformedPolicy``."""
    if len(value) > _MAX_JSON_BYTES:
        raise MalformedPolicy(f"{source} is longer than {_MAX_JSON_BYTES} bytes")
    try:
        items = orjson.loads(value.encode("utf-8", "surrogateescape"))
    except orjson.JSONDecodeError as error:
        raise MalformedPolicy(f"{source} is not JSON: {error}") from None
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_TARGETS:
        raise MalformedPolicy(f"{source} is not a list of 1 to {MAX_TARGETS} targets")
    return tuple(_target(item, f"{source}, target {index}") for index, item in enumerate(items))


def _target(item: Any, source: str) -> FallbackTarget:
    if not isinstance(item, dict):
        raise MalformedPolicy(f"{source} is not an object")
    unknown = set(item) - {"target-url", "headers", "onCodes", "bodyKeyOverride"}
    if unknown:
        raise MalformedPolicy(f"{source} has the unknown key {sorted(unknown)[0][:40]!r}")
    override = item.get("bodyKeyOverride")
    if override is not None and not isinstance(override, dict):
        raise MalformedPolicy(f"{source}: bodyKeyOverride is not an object")
    return FallbackTarget(
        _url(item.get("target-url"), source),
        _headers(item.get("headers", {}), source),
        _codes(item["onCodes"], source) if "onCodes" in item else _DEFAULT_CODES,
        override,
    )


def _url(value: Any, source: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value:
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            parts, port = None, None
        if (
            parts is not None
            and parts.scheme in ("http", "https")
            and parts.hostname
            and port != 0
            and "@" not in parts.netloc
            and not parts.query
            and not parts.fragment
            and "\\" not in value
        ):
            return value.rstrip("/")
    raise MalformedPolicy(f"{source}: target-url is not like https://api.example.com")


def _headers(value: Any, source: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > _MAX_HEADERS:
        raise MalformedPolicy(f"{source}: headers is not an object of at most {_MAX_HEADERS} headers")
    pairs = []
    for name, text in value.items():
        if not name or not all(char.isalnum() or char in "!#$%&'*+-.^_`|~" for char in name) or not name.isascii():
            raise MalformedPolicy(f"{source}: {name[:40]!r} is no name of a header")
        if name.lower() in _NOT_SETTABLE or name.lower().startswith(("spanhouse-", "helicone-")):
            raise MalformedPolicy(f"{source}: the header {name[:40]!r} cannot be set for a target")
        # The value is never quoted in a message: it may be a key.
        if not isinstance(text, str) or not text.isascii() or not all(char == "\t" or char >= " " for char in text):
            raise MalformedPolicy(f"{source}: the value of header {name[:40]!r} is not printable text")
        pairs.append((name, text))
    return tuple(pairs)


def _codes(value: Any, source: str) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list) or len(value) > 64:
        raise MalformedPolicy(f"{source}: onCodes is not a list of at most 64 statuses")
    ranges = []
    for code in value:
        low, high = (code.get("from"), code.get("to")) if isinstance(code, dict) else (code, code)
        # bool is an int for isinstance, and no status.
        if type(low) is not int or type(high) is not int or not 100 <= low <= high <= 599:
            raise MalformedPolicy(f"{source}: onCodes holds something else than a status or a from/to range of them")
        ranges.append((low, high))
    return tuple(ranges)


def headers_for(
    target: FallbackTarget, headers: Iterable[tuple[str, str]], *, same_origin: bool
) -> list[tuple[str, str]]:
    """Return the request headers for a target: the caller's, without credentials elsewhere, with its own on top."""
    replaced = {name.lower() for name, _ in target.headers}
    if replaced & CREDENTIALS:
        # A target that brings a key of its own gets only that one, also on the same host.
        replaced |= CREDENTIALS
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in replaced and (same_origin or name.lower() in PORTABLE)
    ]
    return kept + list(target.headers)


def query_for(query: str, *, same_origin: bool) -> str:
    """Return the raw query for a target: without keys in it when it goes to another origin."""
    if same_origin or not query:
        return query
    return "&".join(part for part in query.split("&") if not _is_credential(part))


def credentials_in(query: str) -> list[str]:
    """Return the parameters of a raw query that prove who calls."""
    return [part for part in query.split("&") if _is_credential(part)]


def _is_credential(parameter: str) -> bool:
    return unquote(parameter.partition("=")[0]).lower() in CREDENTIAL_PARAMETERS


def body_for(target: FallbackTarget, body: bytes, headers: Sequence[tuple[str, str]]) -> bytes | None:
    """Return the body for a target, ``None`` when the override cannot be applied (not plain JSON)."""
    if target.body_override is None:
        return body
    encodings = {value.strip().lower() for name, value in headers if name.lower() == "content-encoding"}
    if encodings - {"", "identity"}:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return orjson.dumps(document | target.body_override) if isinstance(document, dict) else None
