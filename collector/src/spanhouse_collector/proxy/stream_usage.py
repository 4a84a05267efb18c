"""Usage on streams that would carry none: asked for on the client's behalf, withheld from the client.

An option (``Spanhouse-Stream-Usage: true``, or for all calls by the operator), because it changes what is
sent: OpenAI-compatible chat streams tell tokens only when asked. The client sees the stream it asked for.
"""

from __future__ import annotations

from spanhouse_collector.parse.include_usage import UsageFrameFilter, ask_for_usage
from spanhouse_collector.proxy.exchange import ClientBody
from spanhouse_collector.proxy.headers import find, is_signed, read_bool, sort_out
from spanhouse_collector.proxy.hook import REPLAYABLE_BYTES, Call
from spanhouse_collector.proxy.http1 import Head

_PATHS = (b"/chat/completions", b"/completions")
#: Our header, and Helicone's name for it (behind the prefix).
HEADER = "stream-usage"


def wants_usage(call: Call, for_all: bool) -> bool:
    """Tell whether usage is to be asked for, where the request turns out to be a stream without.

    A signed request is never changed.
    """
    asked = read_bool(call.own.get(HEADER))
    if not (for_all if asked is None else asked):
        return False
    return call.method == b"POST" and call.path.endswith(_PATHS) and not is_signed(call.headers, call.query)


async def ask_for_usage_in(call: Call, body: ClientBody) -> UsageFrameFilter | None:
    """Change the request so that its stream tells usage; return what withholds that from the client.

    ``None`` when the request is left as it is: compressed, not a stream, or asking already.
    """
    if find(call.headers, b"content-encoding"):
        return None
    if call.body is None:
        call.body = await body.whole(REPLAYABLE_BYTES)
    changed = ask_for_usage(call.body) if call.body else None
    if changed is None:
        return None
    call.body = changed
    own = call.head.own
    kept = [(name, value) for name, value in call.headers if name not in (b"content-length", b"accept-encoding")]
    call.headers = [*kept, (b"accept-encoding", b"identity")]
    if not call.head.transfer_encoding:
        call.headers.append((b"content-length", str(len(changed)).encode()))
    call.head = sort_out(call.headers)
    call.head.own = own
    call.head.address(call.upstream.host_header, call.child_traceparent)
    return UsageFrameFilter()


def may_filter(head: Head) -> bool:
    """Tell whether an answer is a plain stream of events, the only thing to withhold from."""
    lower = [(name.lower(), value.lower()) for name, value in head.headers]
    return find(lower, b"content-type").startswith(b"text/event-stream") and not find(lower, b"content-encoding")
