"""Which traces may share a call with another trace, answered from memory for nearly all of them.

Looking calls up in the store costs about a millisecond each, and nearly all calls are reported in one
trace only. What two traces report of one call arrives at about the same time, so the keys (response ids)
of the calls that came last are kept here, with who told of them: one instrumentation never reports a call
twice, so only one that two of them tell of in two traces is looked at.

What is kept covers every call that was received after some moment, and so every call that overlaps one
which began after it, or missed it by no more than clocks differ. Keys that come again (made of figures, or counted) are
kept apart by the minute. For a call that began earlier (a replay after a crash, an import), and for every
call where other servers write to the same store, the store is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.drain.across import shared_keys
from spanhouse_server.normalise.settle_across import MAX_SKEW_NS, Call
from spanhouse_server.store.contract import ColumnarStore, TraceKey

#: Keys in a generation, of which there are two: enough for 40 s of 5,000 calls a second. Full they weigh about 50 MB.
KEPT_KEYS = 200_000
#: Tellers told apart of a key. One that more share is a fake provider's and says nothing.
MAX_SHARING = 64
#: How far a sender's clock may be ahead of this machine's.
SKEW_NS = 10 * NS_PER_S

#: A teller is a trace and a scope in one number: an int of this size takes half the room of a pair. Senders name
#: their scopes, so those beyond share the last number, which is told apart from itself.
_SCOPE_BITS = 16
_LAST_SCOPE = (1 << _SCOPE_BITS) - 1
_TRACE_MASK = (1 << 44) - 1


class RecentCalls:
    """Remembers the calls that came last. Used by the draining thread."""

    def __init__(self, store: ColumnarStore, kept_keys: int = KEPT_KEYS, clock_ns: Callable[[], int] = now_ns) -> None:
        self._store = store
        self._clock_ns = clock_ns
        self._kept_keys = kept_keys
        self._scopes: dict[str, int] = {}
        self._memory: _Tellers | None = None

    def doubtful(self, calls: Mapping[TraceKey, Collection[Call]]) -> set[TraceKey]:
        """Take note of the calls of these traces; return the traces that may share one with another.

        Raises ``StoreUnavailable`` when the store must be asked and is away.
        """
        memory = self._begun()
        noted: list[tuple[TraceKey, Call, int, int]] = []
        for trace_key, its in calls.items():
            project_id, trace_id = trace_key
            trace = (hash(trace_id) & _TRACE_MASK) << _SCOPE_BITS
            for call in its:
                teller = trace | self._scope(call.scope)
                for place in _places(project_id, call):
                    memory.add(place, teller)
                    noted.append((trace_key, call, place, teller))
        found: set[TraceKey] = set()
        unsure: dict[TraceKey, list[Call]] = {}
        ask_before_ns = memory.since_ns + SKEW_NS + MAX_SKEW_NS
        always_ask = not self._store.exclusive
        for trace_key, call, place, teller in noted:
            if trace_key in found or place in memory.crowded:
                continue
            if memory.has_another(place, teller):
                found.add(trace_key)
            elif always_ask or call.start_ns < ask_before_ns:
                # Another report may have come before all that is remembered, or elsewhere.
                unsure.setdefault(trace_key, []).append(call)
        memory.turn(self._clock_ns())
        unsure = {trace_key: its for trace_key, its in unsure.items() if trace_key not in found}
        return found | shared_keys(self._store, unsure) if unsure else found

    def forget(self, since_ns: int) -> None:
        """Forget what was received before a moment since which nothing was; what is told of it then asks the store."""
        if self._memory is not None:
            self._memory = _Tellers(self._kept_keys, max(self._memory.since_ns, since_ns))

    def _scope(self, scope: str) -> int:
        number = self._scopes.get(scope)
        if number is None:
            number = self._scopes[scope] = len(self._scopes) if len(self._scopes) < _LAST_SCOPE else _LAST_SCOPE
            if number == _LAST_SCOPE:
                del self._scopes[scope]
        return number

    def _begun(self) -> _Tellers:
        if self._memory is None:
            # What an empty store does not hold need not be remembered.
            stored = self._store.select("SELECT 1 AS one FROM span_index LIMIT 1")
            self._memory = _Tellers(self._kept_keys, self._clock_ns() if stored else -SKEW_NS)
        return self._memory


def _places(project_id: str, call: Call) -> list[int]:
    """Return where a call is remembered: by a key that comes again, minute by minute."""
    minutes = call.minutes
    return [hash((project_id, call.key, at)) for at in minutes] if minutes else [hash((project_id, call.key))]


class _Tellers:
    """Who told of a call, by place, of the two newest generations; complete for what came from ``since_ns`` on."""

    def __init__(self, kept_keys: int, since_ns: int) -> None:
        self.since_ns = since_ns
        self.crowded: set[int] = set()
        self._kept_keys = kept_keys
        self._begun_ns = since_ns
        self._new: dict[int, int | set[int]] = {}
        self._old: dict[int, int | set[int]] = {}

    def add(self, place: int, teller: int) -> None:
        """Take note of who tells of a call; of one scope only so many, as these are different calls."""
        held = self._new.setdefault(place, teller)
        if isinstance(held, int):
            if held != teller:
                self._new[place] = {held, teller}
        elif teller in held or len(held) < MAX_SHARING:
            held.add(teller)
        else:
            scopes = {each & _LAST_SCOPE for each in held}
            if len(scopes) > 1:
                self.crowded.add(place)
            elif teller & _LAST_SCOPE not in scopes:
                held.add(teller)

    def has_another(self, place: int, teller: int) -> bool:
        """Tell whether another instrumentation told of a call in another trace."""
        for held in (self._new.get(place), self._old.get(place)):
            if held is None or held == teller:
                continue
            for other in (held,) if isinstance(held, int) else held:
                if other >> _SCOPE_BITS != teller >> _SCOPE_BITS and _are_two(other, teller):
                    return True
        return False

    def turn(self, now_ns: int) -> None:
        """Forget the older generation when the newer is full."""
        if len(self._new) > self._kept_keys:
            self._old, self._new = self._new, {}
            self.since_ns, self._begun_ns = self._begun_ns, now_ns
            self.crowded &= self._old.keys()


def _are_two(a: int, b: int) -> bool:
    """Tell whether two tellers are of different scopes, as far as these are told apart."""
    return a & _LAST_SCOPE != b & _LAST_SCOPE or a & _LAST_SCOPE == _LAST_SCOPE
