"""Which traces may be stored already, answered from memory.

Looking a thousand fresh traces up in ``spans`` reads most of it: their ids lie anywhere in every part
(at 480,000 spans 70 ms of processor time a batch, whatever its size, and growing). Nearly all traces of
a batch are new, and a Bloom filter over all stored ones says so. It may be wrong only in saying "perhaps".

It knows what this process stored and what was there at the start, so it needs a store that nobody else
writes to; for any other, and until it has been read in, every trace is looked up.
"""

from __future__ import annotations

import logging
import threading
from array import array
from collections.abc import Collection, Iterable

from spanhouse_server.errors import SpanhouseError
from spanhouse_server.store.contract import ColumnarStore, TraceKey

log = logging.getLogger("spanhouse.pipeline")

#: 8 MiB, for 2.7 million traces; at most 128 MiB, for 44 million, beyond which it is wrong more often.
LEAST_WORD_BITS = 20
MOST_WORD_BITS = 24
#: Words are filled to this many traces each: about one in 500 traces is then looked up for nothing.
TRACES_PER_WORD = 2.7
#: Neighbouring words are read in rows of two to this power.
ROW_BITS = 12

# Ids need not be random in every bit (64-bit ones are padded with zeros): both halves, spread by an odd factor.
_SPREAD = 0x9E3779B97F4A7C15
_ALL = 2**64 - 1

_HALF = "reinterpretAsUInt64(reverse(unhex(substring(trace_id, {first}, 16))))"
_BIT = "bitShiftLeft(toUInt64(1), bitAnd(bitShiftRight(spread, {shift}), 63))"
_BITS = "bitOr(bitOr({}, {}), bitOr({}, {}))".format(*(_BIT.format(shift=shift) for shift in (0, 6, 12, 18)))
_WORDS = f"""
SELECT groupArray(place) AS places, groupArray(value) AS words
FROM (
    SELECT toUInt32(bitShiftRight(spread, {{shift:UInt8}})) AS place, groupBitOr({_BITS}) AS value
    FROM (SELECT bitXor({_HALF.format(first=1)}, {_HALF.format(first=17)}) * toUInt64({_SPREAD}) AS spread FROM traces)
    GROUP BY place
)
GROUP BY bitShiftRight(place, {ROW_BITS})
"""  # noqa: S608 - constants of this module


class KnownTraces:
    """Tells traces that are certainly not stored from those that may be. Used by the draining thread."""

    def __init__(self, store: ColumnarStore, owed: Iterable[TraceKey] = ()) -> None:
        """``owed`` are stored traces without a row in ``traces``."""
        self._store = store
        self._lock = threading.Lock()
        self._words: array[int] | None = None
        self._shift = 0
        self._traces = 0
        self._meanwhile: set[TraceKey] = set(owed)
        self._reading: threading.Thread | None = None

    def may_be_stored(self, traces: Iterable[TraceKey]) -> list[TraceKey]:
        """Return those of the traces that may have been stored; no insert may be under way."""
        if not self._store.exclusive:
            return list(traces)
        self._read_in()
        words, shift = self._words, self._shift
        if words is None:
            return list(traces)
        found = []
        for key in traces:
            spread = _spread(key[1])
            bits = _bits(spread)
            if words[spread >> shift] & bits == bits:
                found.append(key)
        return found

    def add(self, traces: Collection[TraceKey]) -> None:
        """Take note of traces that are about to be stored, or were since the last question."""
        if not self._store.exclusive:
            return
        with self._lock:
            if self._reading is not None or self._words is None:
                self._meanwhile.update(traces)
            if self._words is not None:
                _put(self._words, self._shift, traces)
                self._traces += len(traces)

    def wait(self) -> None:
        """Wait until what was stored has been read in."""
        if self._reading is not None:
            self._reading.join()

    def _read_in(self) -> None:
        """Read what is stored, beside the drain: at the start, and when there is much more than was thought."""
        with self._lock:
            full = self._words is None or self._traces > len(self._words) * TRACES_PER_WORD
            if self._reading is not None or not full or self._shift == 64 - MOST_WORD_BITS:
                return
            self._reading = threading.Thread(target=self._read, name="spanhouse-known", daemon=True)
        self._reading.start()

    def _read(self) -> None:
        try:
            words, shift, traces = _stored(self._store)
        except SpanhouseError as error:
            log.warning("cannot read which traces are stored, each is looked up: %s", error.message)
            with self._lock:
                self._reading = None
            return
        with self._lock:
            _put(words, shift, self._meanwhile)
            self._words, self._shift = words, shift
            self._traces = traces + len(self._meanwhile)
            self._meanwhile = set()
            self._reading = None


def _stored(store: ColumnarStore) -> tuple[array[int], int, int]:
    """Return a filter over all stored traces, the shift that finds a word in it, and how many traces there are."""
    [counted] = store.select("SELECT count() AS traces FROM traces")
    bits = LEAST_WORD_BITS
    while bits < MOST_WORD_BITS and counted["traces"] * 2 > 2**bits * TRACES_PER_WORD:
        bits += 1
    words = array("Q", bytes(8 * 2**bits))
    for row in store.select(_WORDS, {"shift": 64 - bits}):
        for place, value in zip(row["places"], row["words"], strict=True):
            words[place] |= value
    return words, 64 - bits, counted["traces"]


def _put(words: array[int], shift: int, traces: Iterable[TraceKey]) -> None:
    for _, trace_id in traces:
        spread = _spread(trace_id)
        words[spread >> shift] |= _bits(spread)


def _spread(trace_id: str) -> int:
    value = int(trace_id, 16)
    return (((value >> 64) ^ (value & _ALL)) * _SPREAD) & _ALL


def _bits(spread: int) -> int:
    return 1 << (spread & 63) | 1 << (spread >> 6 & 63) | 1 << (spread >> 12 & 63) | 1 << (spread >> 18 & 63)
