"""Merges of ``spans`` that wait while much waits to be stored.

A merge costs the embedded engine more per row than the insert did, on the same cores. A backlog is
stored sooner without, and its parts are then merged once, many together, instead of few at a time.
How many parts may gather is bounded: every read opens each of them. A stopped process forgets it.
"""

from __future__ import annotations

import logging

from spanhouse_server.errors import SpanhouseError
from spanhouse_server.store.columnar.faults import translated
from spanhouse_server.store.columnar.pool import ClientPool

TABLE = "spans"
#: Merging goes on when so many parts have gathered, whatever waits …
MOST_PARTS = 200
#: … and is put off again only when it has left no more than these.
FEW_PARTS = 100

_PARTS = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = {table:String}"

log = logging.getLogger("spanhouse.store")


class Merges:
    """Stops and starts merging. For one thread."""

    def __init__(self, clients: ClientPool) -> None:
        self._clients = clients
        self._stopped = False
        #: Much waits to be stored: what is inserted now will not be merged soon.
        self.behind = False

    def put_off(self, wanted: bool) -> None:
        """Leave merging for later, as far as the number of parts allows, or take it up again; never raises."""
        self.behind = wanted
        if not wanted and not self._stopped:
            return
        try:
            with translated(), self._clients.client() as client:
                parts = client.query(_PARTS, {"table": TABLE}).result_rows[0][0] if wanted else 0
                stopped = wanted and parts < (MOST_PARTS if self._stopped else FEW_PARTS)
                if stopped != self._stopped:
                    client.command(f"SYSTEM {'STOP' if stopped else 'START'} MERGES {TABLE}")
                    self._stopped = stopped
        except SpanhouseError as error:
            # Only a matter of speed; what failed is tried again with the next batch.
            log.warning("merging could not be %s: %s", "put off" if wanted else "taken up again", error.message)
