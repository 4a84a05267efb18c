"""Which traces may share a call with another trace, answered from memory for nearly all of them.

Looking response ids up in the store costs about a millisecond each, and nearly all calls are reported
in one trace only. What two traces report of one call arrives at about the same time, so the ids that
came last are kept here, those of lone calls apart from the others: only a lone call ever gives way.

What is kept covers every call that was received after some moment, and so every call that overlaps one
which began after it. For a call that began earlier (a replay after a crash, an import), and for every
call where other servers write to the same store, the store is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.drain.across import shared_ids
from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.normalise.settle_across import is_call
from spanhouse_server.store.contract import ColumnarStore, TraceKey

#: Ids of each kind in a generation, of which there are two: enough for half a minute of 5,000 calls a second.
#: Full they weigh about 25 MB a kind; of calls within runs and of lone ones there are seldom as many.
KEPT_IDS = 100_000
#: Traces told apart by an id. One that more traces share is a fake provider's and says nothing.
MAX_SHARING = 64
#: How far a sender's clock may be ahead of this machine's.
SKEW_NS = 10 * NS_PER_S


class Call(NamedTuple):
    """A call of a trace that another trace may report too."""

    response_id: str
    start_ns: int
    lone: bool


def calls_in(settled: SettledTrace) -> tuple[Call, ...]:
    """Return the calls of a trace."""
    return tuple(
        [
            Call(row.response_id, row.start_ns, row.lone_call)
            for row in settled.spans
            if row.response_id and is_call(row)
        ]
    )


class RecentCalls:
    """Remembers the calls that came last. Used by the draining thread."""

    def __init__(self, store: ColumnarStore, kept_ids: int = KEPT_IDS, clock_ns: Callable[[], int] = now_ns) -> None:
        self._store = store
        self._clock_ns = clock_ns
        self._kept_ids = kept_ids
        self._lone: _Ids | None = None
        self._inner: _Ids | None = None

    def doubtful(self, calls: Mapping[TraceKey, Collection[Call]]) -> set[TraceKey]:
        """Take note of the calls of these traces; return the traces that may share one with another.

        Raises ``StoreUnavailable`` when the store must be asked and is away.
        """
        lone, inner = self._memories()
        crowded = lone.crowded | inner.crowded
        for (project_id, trace_id), its in calls.items():
            trace = hash(trace_id)
            for response_id, _, is_lone in its:
                (lone if is_lone else inner).add(hash((project_id, response_id)), trace)
        found: set[TraceKey] = set()
        unsure: dict[TraceKey, list[Call]] = {}
        for key, its in calls.items():
            trace = hash(key[1])
            for call in its:
                place = hash((key[0], call.response_id))
                if place in crowded:
                    continue
                if lone.has_another(place, trace) or (call.lone and inner.has_another(place, trace)):
                    found.add(key)
                    unsure.pop(key, None)
                    break
                if self._may_be_unknown(call, lone, inner):
                    unsure.setdefault(key, []).append(call)
        now = self._clock_ns()
        lone.turn(now)
        inner.turn(now)
        return found | shared_ids(self._store, unsure) if unsure else found

    def _may_be_unknown(self, call: Call, lone: _Ids, inner: _Ids) -> bool:
        """Tell whether another report of the call may have come before all that is remembered, or elsewhere."""
        since_ns = max(lone.since_ns, inner.since_ns) if call.lone else lone.since_ns
        return call.start_ns < since_ns + SKEW_NS or not self._store.exclusive

    def _memories(self) -> tuple[_Ids, _Ids]:
        if self._lone is None or self._inner is None:
            # What an empty store does not hold need not be remembered.
            stored = self._store.select("SELECT 1 AS one FROM span_index LIMIT 1")
            since_ns = self._clock_ns() if stored else -SKEW_NS
            self._lone, self._inner = _Ids(self._kept_ids, since_ns), _Ids(self._kept_ids, since_ns)
        return self._lone, self._inner


class _Ids:
    """The traces by id, of the two newest generations; complete for what was received from ``since_ns`` on."""

    def __init__(self, kept_ids: int, since_ns: int) -> None:
        self.since_ns = since_ns
        self.crowded: set[int] = set()
        self._kept_ids = kept_ids
        self._begun_ns = since_ns
        self._new: dict[int, int | set[int]] = {}
        self._old: dict[int, int | set[int]] = {}

    def add(self, place: int, trace: int) -> None:
        held = self._new.setdefault(place, trace)
        if isinstance(held, int):
            if held != trace:
                self._new[place] = {held, trace}
        elif trace in held or len(held) < MAX_SHARING:
            held.add(trace)
        else:
            self.crowded.add(place)

    def has_another(self, place: int, trace: int) -> bool:
        for held in (self._new.get(place), self._old.get(place)):
            if held is not None and held != trace and held != {trace}:
                return True
        return False

    def turn(self, now_ns: int) -> None:
        """Forget the older generation when the newer is full."""
        if len(self._new) > self._kept_ids:
            self._old, self._new = self._new, {}
            self.since_ns, self._begun_ns = self._begun_ns, now_ns
            self.crowded &= self._old.keys()
