"""What calls and tunnels have in common: their names towards the upstream and the recorder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from spanhouse_collector.errors import Refused
from spanhouse_collector.parse.ids import span_context
from spanhouse_collector.proxy.headers import RawHeaders, RequestHead, is_signed
from spanhouse_collector.proxy.hook import Call

log = logging.getLogger("spanhouse.proxy")


def child_traceparent(call_id: str, head: RequestHead, headers: RawHeaders, query: bytes) -> bytes:
    """Return the traceparent for the upstream: ours under the incoming one.

    Nothing without one, and nothing for a signed request, which keeps its own.
    """
    traceparent = head.traceparent
    if not traceparent or is_signed(headers, query):
        return b""
    context = span_context(call_id, traceparent.decode("latin-1"))
    return context.traceparent.encode() if context.parent_span_id else b""


def call_start(call: Call, rest: bytes, *, reports: bool) -> dict[str, Any]:
    """Return what a ``START`` frame says; ``rest`` is the path below the upstream's name."""
    return {
        "call_id": call.call_id,
        "provider": call.provider,
        "url": call_url(call),
        "method": call.method,
        "path": rest,
        "query": call.query,
        "headers": call.headers,
        "own": call.head.own,
        "traceparent": call.head.traceparent,
        "project": call.project,
        "reports": reports,
    }


def call_url(call: Call) -> bytes:
    """Return the whole URL that is asked of the upstream."""
    url = f"{call.upstream.scheme}://".encode() + call.upstream.host_header + call.path
    return url + b"?" + call.query if call.query else url


def guarded(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a policy; log its faults instead of raising them. ``Refused`` is no fault."""
    try:
        return work(*arguments)
    except Refused:
        raise
    except Exception:
        log.exception("a policy failed; the call goes on without it")
        return None
