"""What one rule has learnt of its groups, and how that is kept over restarts.

Learning reads weeks. A stopped server goes on from what was kept instead, and reads only what came since.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from base64 import b85decode, b85encode
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from spanhouse_server.derive.anomaly.options import Options
from spanhouse_server.derive.anomaly.stream import Stream
from spanhouse_server.derive.anomaly.verdict import Verdict

log = logging.getLogger("spanhouse.alerts")

#: Buckets of evidence: six hours of five minutes.
EVIDENCE_POINTS = 72
#: Goes up whenever a stream learns differently: what was learnt before is learnt again.
FORMAT = 1
#: Kept states that nobody touched for so long belong to rules that are gone.
FORGET_S = 30 * 86_400
#: A state unpacked is no larger: a guard of memory (20 groups take about 4 MB).
MAX_STATE_BYTES = 64 * 2**20
_PREFIX = "anomaly.learnt."
_INDEX = "anomaly.learnt"


class Settings(Protocol):
    """Where small things are kept by name: the records store."""

    def setting(self, key: str) -> str | None:
        """Return a stored setting."""

    def put_setting(self, key: str, value: str) -> None:
        """Store a setting."""


@dataclass(slots=True)
class Watched:
    """One group's series: what is learnt from the settled buckets, and the verdicts to show.

    It begins with the first bucket that holds something: before that, 0 requests say that there was no such group.
    """

    labels: Mapping[str, str]
    stream: Stream
    counts: bool
    heard_s: int = -1
    recent: deque[Verdict] = field(default_factory=lambda: deque(maxlen=EVIDENCE_POINTS))

    def copy(self) -> Watched:
        """Return a copy that can be carried on by itself."""
        return Watched(self.labels, self.stream.copy(), self.counts, self.heard_s, self.recent.copy())

    def push(self, at_s: int, value: float | None, requests: float | None) -> None:
        """Take the next bucket."""
        if value or (value is not None and not self.counts):
            self.heard_s = at_s
        if self.heard_s >= 0:
            self.recent.append(self.stream.push(at_s, value, requests))


@dataclass(slots=True)
class Memory:
    """What one rule has learnt: its groups up to ``next_s``, the first bucket that was not taken in yet.

    ``lesson`` is a print of all that decides what is learnt (``lesson_of``).
    """

    lesson: str
    next_s: int
    groups: dict[tuple[str, ...], Watched] = field(default_factory=dict)

    def copy(self) -> Memory:
        """Return a copy that can be carried on by itself."""
        return Memory(self.lesson, self.next_s, {key: each.copy() for key, each in self.groups.items()})


def lesson_of(*decides: object) -> str:
    """Return a print of what a rule learns from; another one means to learn anew."""
    return hashlib.sha256(repr((FORMAT, *decides)).encode()).hexdigest()


def packed(memory: Memory) -> str:
    """Return a memory as text, about 75 kB a group with eight weeks of history."""
    groups = [
        {
            "key": key,
            "labels": each.labels,
            "counts": each.counts,
            "heard_s": each.heard_s,
            "recent": [tuple(verdict) for verdict in each.recent],
            "stream": each.stream.kept(),
        }
        for key, each in memory.groups.items()
    ]
    state = orjson.dumps({"lesson": memory.lesson, "next_s": memory.next_s, "groups": groups})
    return b85encode(zlib.compress(state, 3)).decode("ascii")


def unpacked(text: str, lesson: str, options: Options, interval_s: int) -> Memory | None:
    """Return the memory that was packed, or nothing when it was of another lesson or cannot be read."""
    try:
        unpacker = zlib.decompressobj()
        unzipped = unpacker.decompress(b85decode(text), MAX_STATE_BYTES)
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("it is cut off, too large, or followed by something else")
        state: dict[str, Any] = orjson.loads(unzipped)
        if state["lesson"] != lesson:
            return None
        memory = Memory(lesson, int(state["next_s"]))
        for each in state["groups"]:
            stream = Stream.resumed(options, interval_s, each["stream"])
            recent = deque((Verdict(*verdict) for verdict in each["recent"]), maxlen=EVIDENCE_POINTS)
            memory.groups[tuple(each["key"])] = Watched(
                each["labels"], stream, bool(each["counts"]), int(each["heard_s"]), recent
            )
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        log.warning("what an anomaly rule had learnt cannot be read and is learnt again: %s", error)
        return None
    return memory


class LearntStates:
    """Keeps memories in the records store, by rule; those of rules that are gone are dropped after ``FORGET_S``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def load(self, rule: str) -> str | None:
        """Return what was kept for a rule, or nothing."""
        return self._settings.setting(_PREFIX + rule) or None

    def save(self, rule: str, text: str, at_s: int) -> None:
        """Keep a rule's state as of ``at_s`` (unix s)."""
        self._settings.put_setting(_PREFIX + rule, text)
        saved: dict[str, int] = orjson.loads(self._settings.setting(_INDEX) or "{}")
        saved[rule] = at_s
        for gone in [name for name, when_s in saved.items() if when_s < at_s - FORGET_S]:
            self._settings.put_setting(_PREFIX + gone, "")
            del saved[gone]
        self._settings.put_setting(_INDEX, orjson.dumps(saved).decode())
