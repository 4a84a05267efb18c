"""The identity of a call's span: the incoming trace continued, or one of its own.

Ids follow from the call's id, so that a call that is read twice (a retried export, a replayed record)
is the same span both times.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_TRACEPARENT = re.compile(r"\s*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\s*\Z")
_SAMPLED = 0x01


class SpanContext(NamedTuple):
    """Ids in lower-case hex; ``parent_span_id`` is empty for a trace that begins here."""

    trace_id: str
    span_id: str
    parent_span_id: str
    trace_flags: int

    @property
    def traceparent(self) -> str:
        """Return the header that makes what the upstream records a child of this call."""
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags:02x}"


def span_context(call_id: str, traceparent: str = "") -> SpanContext:
    """Return the identity of a call; a malformed ``traceparent`` counts as none."""
    span_id = _digest(f"span:{call_id}", 8)
    found = _TRACEPARENT.match(traceparent)
    if found is not None:
        version, trace_id, parent_id, flags, rest = found.groups()
        sound = version != "ff" and not (version == "00" and rest) and int(trace_id, 16) and int(parent_id, 16)
        if sound:
            return SpanContext(trace_id, span_id, parent_id, int(flags, 16))
    return SpanContext(_digest(f"trace:{call_id}", 16), span_id, "", _SAMPLED)


def turn_span_id(call_id: str, number: int) -> str:
    """Return the id of the span of one answer over a WebSocket."""
    return _digest(f"turn:{call_id}:{number}", 8)


def _digest(text: str, size_bytes: int) -> str:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size_bytes)
    return digest.hexdigest()
