"""Frames without credentials: what the recorder keeps of a call, in memory or in a file, begins here.

The relay copies what passes as it is, in as little time as it can. As soon as the recorder has it, credentials are
taken out of the frames that may hold some: the start (headers, query, our own headers), the head of the answer
(cookies), and the end (the URL of another target).
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spanhouse_collector.parse.apis import APIS
from spanhouse_collector.parse.contract import CallContext, CallStart, Headers
from spanhouse_collector.parse.endpoints import find
from spanhouse_collector.parse.reader import SOCKETS
from spanhouse_collector.policy.identity import KEY_ID_DIGITS, credential_id
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.headers import call_context, is_secret, recordable, redact_query

#: Our headers that say something about a call and hold no credential (the others: our key, targets, policies).
_KEPT_OWN = ("session-", "user-id", "tags", "property-", "prompt-", "environment", "omit-")


def cleaned(kind: int, payload: bytes) -> tuple[bytes, bool]:
    """Return a frame's payload without credentials, and of a start whether bodies may be in a file (else true).

    Raises whatever a payload that is none leads to.
    """
    if kind == frames.START:
        start = cleaned_start(frames.unpack(payload))
        return marshal.dumps(start), start["bodies"]
    return _cleaned(kind, payload), True


def _cleaned(kind: int, payload: bytes) -> bytes:
    if kind == frames.RESPONSE_START:
        status, headers = frames.unpack(payload)
        kept = [(name, value) for name, value in headers if not is_secret(name.decode("latin-1"))]
        return payload if len(kept) == len(headers) else marshal.dumps((status, kept))
    if kind in (frames.END, frames.ENDING):
        *rest, moved = frames.unpack(payload)
        if moved is not None:
            provider, url = moved
            return marshal.dumps((*rest, (provider, _redacted(url))))
    return payload


def cleaned_start(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ``START`` frame says (``calls.call_start``) without credentials; of a clean one the same.

    ``key_id`` stands for the credential that the call came with. ``bodies`` tells whether the bodies are read at
    all and nobody asked to keep any of them out.
    """
    if "key_id" in value:
        return dict(value)
    own = {name: text for name, text in value["own"].items() if name.startswith(_KEPT_OWN)}
    provider, method = value["provider"], value["method"].decode("latin-1")
    path, query = value["path"].decode("latin-1"), value["query"].decode("latin-1")
    apis: Mapping[str, Any] = SOCKETS if value.get("websocket") else APIS
    is_read = find(provider, method, path, query, websocket=bool(value.get("websocket"))).api in apis
    return {
        **value,
        "url": _redacted(value["url"]),
        "query": redact_query(query).encode("latin-1"),
        "headers": recordable(value["headers"]),
        "own": own,
        "key_id": credential_id(value["own"], value["headers"], value["query"])[:KEY_ID_DIGITS],
        "bodies": is_read and not any(name.startswith("omit-") for name in own),
    }


def read_start(at_ns: int, value: Mapping[str, Any]) -> CallStart:
    """Return the call that a ``START`` frame describes, without credentials."""
    clean = cleaned_start(value)
    headers: Headers = clean["headers"]
    return CallStart(
        call_id=clean["call_id"],
        provider=clean["provider"],
        upstream_url=clean["url"].decode("latin-1"),
        method=clean["method"].decode("latin-1"),
        path=clean["path"].decode("latin-1"),
        query=clean["query"].decode("latin-1"),
        request_headers=headers,
        started_ns=at_ns,
        traceparent=clean["traceparent"].decode("latin-1"),
        context=_context(clean, headers),
    )


def _context(clean: Mapping[str, Any], headers: Headers) -> CallContext:
    """Return what the caller said, and what stands for the key it called with, as metadata ``key_id``."""
    context = call_context(clean["own"], headers)
    key_id = clean["key_id"]
    return replace(context, properties={**context.properties, "key_id": key_id}) if key_id else context


def _redacted(url: bytes) -> bytes:
    base, mark, query = url.partition(b"?")
    return base + mark + redact_query(query.decode("latin-1")).encode("latin-1")
