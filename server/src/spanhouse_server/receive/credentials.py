"""Finds the key and the project in a request's headers, in all the forms that senders use."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote

from spanhouse_server.receive.vendors import KEY_HEADERS

PROJECT_HEADER = "x-spanhouse-project"


def credentials(headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return (secret, project), each ``None`` when the request does not carry it.

    ``headers`` has lower-case names (HTTP headers or gRPC metadata). The most specific header
    wins: ``x-spanhouse-key``, then ``authorization`` (Bearer, or Basic with the key as password),
    then ``x-api-key`` and the headers of other vendors (``vendors.py``). Values of ``OTEL_EXPORTER_OTLP_HEADERS`` may still be URL-encoded.
    """
    secret = (
        _plain(headers.get("x-spanhouse-key"))
        or _from_authorization(_plain(headers.get("authorization")))
        or _plain(headers.get("x-api-key"))
        or next(filter(None, (_plain(headers.get(name)) for name in KEY_HEADERS)), None)
    )
    return secret, _plain(headers.get(PROJECT_HEADER))


def _plain(value: str | None) -> str | None:
    if not value:
        return None
    if "%" in value:
        value = unquote(value)
    return value.strip() or None


def _from_authorization(value: str | None) -> str | None:
    if value is None:
        return None
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    if not rest:
        # A bare key, as some senders are configured with; a lone scheme is no key.
        return None if scheme.lower() in ("bearer", "basic") else scheme
    if scheme.lower() == "basic":
        return _password(rest)
    return rest


def _password(encoded: str) -> str | None:
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, _, password = text.partition(":")
    # `-u <key>:` of curl puts the key where the user belongs.
    return password or user or None
