"""One process's hold on one worker's lease."""

from __future__ import annotations

import time
from collections.abc import Callable

from spanhouse_server.derive.contract import Lease
from spanhouse_server.errors import LeaseLost, SpanhouseError
from spanhouse_server.model.leases import LeaseState
from spanhouse_server.store.contract import RecordsStore

#: A holder that gave no sign of life for so long has lost its lease.
TTL_S = 30.0
#: A call that gave no sign for so long is stuck: its lease is no longer kept alive, so that another server goes on.
LONGEST_CALL_S = 1800.0


class Holder:
    """Takes, keeps and gives back the lease ``name`` for the process ``holder``.

    ``holder`` is ``instance/random``: an instance is a data folder, which one process has open at a time, so
    what an earlier process of the same instance held is taken over at once, without waiting for it to lapse.
    Thread-safe for one worker thread beside one thread that calls ``beat``.
    """

    def __init__(
        self,
        records: RecordsStore,
        name: str,
        holder: str,
        ttl_s: float = TTL_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._name = name
        self._holder = holder
        self._ttl_s = ttl_s
        self._monotonic_s = monotonic_s
        self._held = False
        self._lapses_s = 0.0
        self._called_s = 0.0
        self._seen: LeaseState | None = None
        self._seen_s = 0.0
        self._first = True

    def acquire(self, position_ns: int, covered_ns: int) -> LeaseState | None:
        """Return the lease as it stands when this process takes it now; nothing while another has it.

        Not to be called while it is held. Position and cover are those of a lease that never was.
        """
        begun_s = self._monotonic_s()
        found = next((each for each in self._records.leases() if each.name == self._name), None)
        lapsed = found is not None and self._is_lapsed(found, begun_s)
        self._first = False
        if found is not None and found.holder not in ("", self._holder) and not lapsed:
            return None
        state = self._records.take_lease(self._name, self._holder, found if lapsed else None, position_ns, covered_ns)
        if state.holder != self._holder:
            return None
        self._held, self._lapses_s, self._seen = True, begun_s + self._ttl_s, None
        self._called_s = begun_s
        return state

    def _is_lapsed(self, found: LeaseState, now_s: float) -> bool:
        if self._first and found.holder.partition("/")[0] == self._holder.partition("/")[0]:
            return True
        if self._seen is None or (self._seen.fence, self._seen.beat) != (found.fence, found.beat):
            self._seen, self._seen_s = found, now_s
        return now_s - self._seen_s >= self._ttl_s

    def next(self) -> Lease:
        """Return the lease for the next call, under a larger fence. Raises ``LeaseLost``."""
        begun_s = self._monotonic_s()
        try:
            fence = self._records.next_fence(self._name, self._holder)
        except LeaseLost:
            self._held = False
            raise
        self._lapses_s = begun_s + self._ttl_s
        self._called_s = begun_s
        return Lease(self._name, fence, self.still_held)

    def still_held(self) -> bool:
        """Tell whether no other process can have taken over yet."""
        return self._held and self._monotonic_s() < self._lapses_s

    def beat(self) -> None:
        """Show that this process lives, if it holds the lease and its worker is not stuck; never raises."""
        begun_s = self._monotonic_s()
        if not self._held or begun_s - self._called_s > LONGEST_CALL_S:
            return
        try:
            if self._records.renew_lease(self._name, self._holder):
                self._lapses_s = begun_s + self._ttl_s
            else:
                self._held = False
        except SpanhouseError:
            # The lease lapses by itself if this goes on.
            return

    def lose(self) -> None:
        """Take note that another has the lease."""
        self._held = False

    def release(self) -> None:
        """Give the lease back, if it is held, so that another need not wait; never raises."""
        if self._held:
            self._held = False
            try:
                self._records.release_lease(self._name, self._holder)
            except SpanhouseError:
                return
