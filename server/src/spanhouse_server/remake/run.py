"""Walk over the stored traces of a project in order of time and make their spans anew.

Work goes in steps of some traces; after each the place is noted in the records store. A run that was
cut off is taken up there by the next one of the same kind, as long as prices and mapping are still
those it began with; else the next one begins anew. Spans that would say the same are left alone, so
running twice changes nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from spanhouse_server import price
from spanhouse_server.drain.again import genai_logs
from spanhouse_server.drain.settle import settle_traces
from spanhouse_server.model.prices import PriceBook
from spanhouse_server.normalise import MAPPER_VERSION
from spanhouse_server.remake.change import PRICED_COLUMNS, remapped, repriced, with_cost
from spanhouse_server.remake.logs import move_media
from spanhouse_server.store import rows
from spanhouse_server.store.bare import SPAN_COLUMNS
from spanhouse_server.store.blobs import BlobRows, keep_blobs
from spanhouse_server.store.contract import ColumnarStore, RecordsStore

#: ``reprice`` keeps the mapping and computes costs anew; ``remap`` reads the raw record and prices it.
KINDS = ("reprice", "remap")

#: Traces and spans of a step; a step ends at whichever comes first, and the drain waits for one step.
STEP_TRACES = 200
STEP_SPANS = 2000
#: Whole rows in memory at once.
PAGE_SPANS = 500

_THESE = "project_id = {project:String} AND trace_id IN {traces:Array(String)}"
_ONCE = "ORDER BY trace_id, span_id, version DESC LIMIT 1 BY trace_id, span_id"

Row = dict[str, Any]
#: Gives the turn to write, and a settle stamp (ns).
Turn = Callable[[], AbstractContextManager[int]]


@dataclass(slots=True)
class Totals:
    """What a remake has done so far."""

    traces: int = 0
    spans: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    start_ns: int = -1
    trace_id: str = ""


class Remake:
    """One run over one project. ``since_ns`` leaves out traces that ended before."""

    def __init__(
        self,
        kind: str,
        project_id: str,
        since_ns: int,
        store: ColumnarStore,
        records: RecordsStore,
        book: PriceBook,
        turn: Turn,
    ) -> None:
        self._kind = kind
        self._project_id = project_id
        self._since_ns = since_ns
        self._store = store
        self._records = records
        self._book = book
        self._turn = turn
        self._key = f"remake/{kind}/{project_id}"
        self._state = f"{MAPPER_VERSION}/{price.list_version()}/{book.version}/{since_ns}"

    def run(self, totals: Totals, stopping: threading.Event) -> bool:
        """Make the project's spans anew, adding to ``totals``; return whether it came to the end."""
        place = self._taken_up()
        while True:
            if stopping.is_set():
                return False
            step = self._step(place)
            if not step:
                self._records.put_setting(self._key, "")
                return True
            with self._turn() as stamp_ns:
                self._make([each["trace_id"] for each in step], stamp_ns, totals)
            place = _Place(step[-1]["start_ns"], step[-1]["trace_id"])
            self._note(place)

    def _taken_up(self) -> _Place:
        """Return where to begin. Whatever an earlier run was at when it was cut off is settled first."""
        written = self._records.setting(self._key)
        if not written:
            self._note(_Place())
            return _Place()
        noted = json.loads(written)
        place = _Place(noted["start_ns"], noted["trace_id"])
        with self._turn() as stamp_ns:
            # Its spans may be stored but not settled, and would look unchanged now.
            settle_traces(self._store, [(self._project_id, each["trace_id"]) for each in self._step(place)], stamp_ns)
        if noted["state"] == self._state:
            return place
        self._note(_Place())
        return _Place()

    def _note(self, place: _Place) -> None:
        written = {"state": self._state, "start_ns": place.start_ns, "trace_id": place.trace_id}
        self._records.put_setting(self._key, json.dumps(written))

    def _step(self, after: _Place) -> list[Row]:
        found = self._store.select(
            """
            SELECT start_ns, trace_id, span_count FROM traces FINAL
            WHERE project_id = {project:String} AND start_ns >= {start:Int64} AND end_ns >= {since:Int64}
              AND (start_ns, trace_id) > ({start:Int64}, {trace:String})
            ORDER BY start_ns, trace_id LIMIT {limit:UInt64}
            """,
            {
                "project": self._project_id,
                "start": after.start_ns,
                "trace": after.trace_id,
                "limit": STEP_TRACES,
                "since": self._since_ns,
            },
        )
        spans = 0
        for count, each in enumerate(found):
            spans += each["span_count"]
            if count and spans > STEP_SPANS:
                return found[:count]
        return found

    def _make(self, trace_ids: Sequence[str], stamp_ns: int, totals: Totals) -> None:
        changed: set[str] = set()
        for made, read in self._remapped(trace_ids) if self._kind == "remap" else self._repriced(trace_ids):
            if made:
                self._store.insert("spans", rows.lines(made))
            changed |= {row["trace_id"] for row in made}
            totals.spans += read
            totals.changed += len(made)
        if changed:
            settle_traces(self._store, [(self._project_id, each) for each in sorted(changed)], stamp_ns)
        totals.traces += len(trace_ids)

    def _remapped(self, trace_ids: Sequence[str]) -> Iterator[tuple[list[Row], int]]:
        """Yield page by page the rows to write and the number of spans read."""
        move_media(self._store, self._project_id, trace_ids)
        logs = genai_logs(self._store, self._project_id, trace_ids)
        for page in self._pages(trace_ids, SPAN_COLUMNS, PAGE_SPANS):
            blobs = BlobRows()
            made = [
                remapped(self._project_id, row, logs.get((row["trace_id"], row["span_id"]), ()), self._book, blobs)
                for row in page
            ]
            keep_blobs(self._store, blobs)
            yield [row for row in made if row is not None], len(page)

    def _repriced(self, trace_ids: Sequence[str]) -> Iterator[tuple[list[Row], int]]:
        for page in self._pages(trace_ids, PRICED_COLUMNS, PAGE_SPANS):
            costs = {
                (row["trace_id"], row["span_id"]): cost
                for row in page
                if (cost := repriced(self._project_id, row, self._book)) is not None
            }
            whole = self._whole(sorted(costs)) if costs else []
            yield [with_cost(self._project_id, row, costs[row["trace_id"], row["span_id"]]) for row in whole], len(page)

    def _pages(self, trace_ids: Sequence[str], columns: Sequence[str], size: int) -> Iterator[list[Row]]:
        """Yield the newest version of each span of these traces, page by page."""
        after = ("", "")
        while True:
            page = self._store.select(
                f"""
                SELECT {_read(columns)} FROM spans
                WHERE {_THESE} AND (trace_id, span_id) > ({{trace:String}}, {{span:String}})
                {_ONCE} LIMIT {size}
                """,  # noqa: S608 - constants of this room
                {"project": self._project_id, "traces": list(trace_ids), "trace": after[0], "span": after[1]},
            )
            if page:
                yield page
            if len(page) < size:
                return
            after = (page[-1]["trace_id"], page[-1]["span_id"])

    def _whole(self, spans: Sequence[tuple[str, str]]) -> list[Row]:
        return self._store.select(
            f"""
            SELECT {_read(SPAN_COLUMNS)} FROM spans
            WHERE {_THESE} AND (trace_id, span_id) IN ({{spans:Array(Tuple(String, String))}})
            {_ONCE}
            """,  # noqa: S608 - constants of this room
            {"project": self._project_id, "traces": sorted({trace for trace, _ in spans}), "spans": list(spans)},
        )


def _read(columns: Sequence[str]) -> str:
    return ", ".join(columns)
