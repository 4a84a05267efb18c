"""Ends a WebSocket whose limit or budget is used up: between two frames, with a close frame that says why."""

from __future__ import annotations

from spanhouse_collector.errors import Refused
from spanhouse_collector.proxy.calls import guarded
from spanhouse_collector.proxy.hook import Call, CallPolicy
from spanhouse_collector.proxy.wsframes import POLICY_VIOLATION, Edges, close_frame

#: How often limits and budgets are looked at, which others may use up too; whenever an answer was charged besides.
LOOK_S = 1.0
#: How long the client may take to close its end, and a frame that has begun to come whole.
CLOSE_S = 1.0


class Cut:
    """What the policy of one connection has to say while it is open. ``said`` is set once the client was told."""

    def __init__(self, call: Call, policy: CallPolicy) -> None:
        self._call = call
        self._policy = policy
        self._edges = Edges()
        self.reason: Refused | None = None
        self.said = False

    def is_due(self) -> bool:
        """Ask the policy whether the connection may go on; once it may not, it never may."""
        if self.reason is None:
            self.reason = guarded(self._policy.must_end, self._call)
        return self.reason is not None

    def passed(self, data: bytes) -> bytes:
        """Return what the client gets of the upstream's next bytes: all, up to the end of its frame, or nothing."""
        if self.reason is None:
            self._edges.feed(data)
            return data
        return b"" if self.said else data[: self._edges.feed(data, to_edge=True)]

    def last_words(self) -> bytes:
        """Return the close frame when it is time for it, once."""
        if self.reason is None or self.said or not self._edges.at_edge:
            return b""
        self.said = True
        return close_frame(POLICY_VIOLATION, f"{self.reason.code}: {self.reason.message}")
