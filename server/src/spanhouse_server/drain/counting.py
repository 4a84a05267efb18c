"""Which spans of a batch are new, told the same however often the batch is repeated.

A batch that was inserted and not acknowledged (a crash, a store that went away) comes again and finds its
own rows. A span found in the very version that the batch brings is its own work and new, unless it was
known before the first try; which ones were is made durable before the insert.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from spanhouse_server.spool.contract import Spool
from spanhouse_server.store.contract import SpanKey


class Counting:
    """Tells repeated spans from new ones for one drain."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._noted = set(spool.repeats())

    def repeated(self, arrived: Mapping[SpanKey, Collection[int]], stored: Mapping[SpanKey, int]) -> int:
        """Return how many of the spans that arrived had been stored by an earlier batch; to be asked before inserting.

        ``arrived`` has every version that the batch brings of a span, ``stored`` the version found, if any.
        """
        again = {
            key
            for key, versions in arrived.items()
            if key in stored and (stored[key] not in versions or key in self._noted)
        }
        if unnoted := again - self._noted:
            self._spool.note_repeats(unnoted)
            self._noted |= unnoted
        return len(again)

    def acknowledged(self) -> None:
        """Begin the next batch: the spool has forgotten the last one."""
        self._noted.clear()
