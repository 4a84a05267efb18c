"""Put judgements on the spans they are about where the sender knew only the model's answer.

``gen_ai.evaluation.result`` may name ``gen_ai.response.id`` instead of a span. A judgement whose span is stored,
also by the same batch, is put there. Any other is stored as it came, on the trace it names or on nothing, and
waits (``waiting_scores``); when its span comes it moves there.

To move is to store the row on the span, and then to delete the one that waited: a crash in between shows a
judgement twice until the batch is repeated, and loses none. A judgement that comes again finds where it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.drain.transform import PreparedTrace
from spanhouse_server.drain.waiting_scores import CHUNK, WaitingScores
from spanhouse_server.store import rows
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.contract import ColumnarStore, TraceKey

#: Judgements moved in one go: bounds them in memory where thousands judge one answer.
MOVED_AT_ONCE = 5000

_COLUMNS = (
    "project_id, trace_id, span_id, session_id, response_id, name, score_id, version,"
    " is_deleted, toUnixTimestamp(received_at) AS received_at, retention_days, value, label, source, explanation,"
    " evaluator, created_ns"
)

Unplaced = tuple[str, Mapping[str, Any]]
"""A row of ``scores`` with the id of the response it judges."""


class Place(NamedTuple):
    """A span, or a trace where ``span_id`` is empty, or nothing."""

    trace_id: str
    span_id: str


class Placing:
    """Places judgements. Used by the draining thread."""

    def __init__(self, store: ColumnarStore) -> None:
        self._store = store
        self._waiting = WaitingScores(store)

    def place(
        self,
        unplaced: Sequence[Unplaced],
        stored: Mapping[TraceKey, PreparedTrace],
        changed: Collection[TraceKey],
    ) -> None:
        """Store the judgements of a batch, and move to its spans those that waited for them.

        ``stored`` are the traces whose spans the batch brought, ``changed`` those with spans that were made, or made
        anew, from log records. All these spans are in the store. Repeating is harmless.
        """
        by_project: dict[str, list[Unplaced]] = {}
        for each in unplaced:
            by_project.setdefault(each[1]["project_id"], []).append(each)
        for project_id, judgements in by_project.items():
            self._store_judgements(project_id, judgements)
        for project_id, answers in self._waiting.awaited(stored, changed).items():
            for part in chunks(sorted(answers), CHUNK):
                # The answers had no span before, so all their spans lie in these traces.
                traces = sorted(set().union(*(answers[response_id] for response_id in part)))
                self._move(project_id, _targets(self._store, project_id, part, traces if len(traces) <= CHUNK else ()))

    def _store_judgements(self, project_id: str, judgements: Sequence[Unplaced]) -> None:
        by_answer: dict[str, list[Mapping[str, Any]]] = {}
        for response_id, row in judgements:
            by_answer.setdefault(response_id, []).append(row)
        for part in chunks(sorted(by_answer), CHUNK):
            targets = _targets(self._store, project_id, part)
            waiting = self._put(project_id, {response_id: by_answer[response_id] for response_id in part}, targets)
            if not waiting:
                continue
            self._waiting.add(project_id, waiting)
            if not self._store.exclusive:
                # Another server may have stored the span since, and have looked for what waits before this was there.
                self._move(project_id, _targets(self._store, project_id, waiting))

    def _put(
        self, project_id: str, by_answer: Mapping[str, Sequence[Mapping[str, Any]]], targets: Mapping[str, Place]
    ) -> list[str]:
        """Store judgements on their targets, or waiting; return the answers of those that wait."""
        score_ids = sorted({row["score_id"] for given in by_answer.values() for row in given})
        earlier: dict[str, list[Mapping[str, Any]]] = {}
        for part in chunks(score_ids, CHUNK):
            for old in self._rows(project_id, "score_id IN {scores:Array(String)}", {"scores": part}, list(by_answer)):
                earlier.setdefault(old["score_id"], []).append(old)
        made: list[Mapping[str, Any]] = []
        gone: list[Mapping[str, Any]] = []
        waiting: list[str] = []
        for response_id, given in by_answer.items():
            for row in given:
                before = earlier.get(row["score_id"], [])
                # A span that is past its retention leaves its judgements where they are.
                stood = next((_place(each) for each in before if each["span_id"]), None)
                place = targets.get(response_id) or stood or _place(row)
                made.append({**row, "response_id": response_id, **place._asdict()})
                gone += [each for each in before if _place(each) != place]
                if not place.span_id:
                    waiting.append(response_id)
        self._replace(made, gone)
        return sorted(set(waiting))

    def _move(self, project_id: str, targets: Mapping[str, Place]) -> None:
        """Move every judgement that waits for one of these answers to its span."""
        while targets:
            found = self._rows(project_id, "span_id = ''", {}, list(targets))
            self._replace([{**row, **targets[row["response_id"]]._asdict()} for row in found], found)
            if len(found) < MOVED_AT_ONCE:
                break
        self._waiting.discard(project_id, targets)

    def _rows(
        self, project_id: str, condition: str, parameters: Mapping[str, Any], response_ids: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Return stored judgements of these answers that meet a condition, at most ``MOVED_AT_ONCE``."""
        return self._store.select(
            f"""
            SELECT {_COLUMNS} FROM scores FINAL
            WHERE project_id = {{project:String}} AND response_id IN {{ids:Array(String)}} AND {condition}
            LIMIT {{limit:UInt32}}
            """,  # noqa: S608 - only our own text is put in
            {"project": project_id, "ids": response_ids, "limit": MOVED_AT_ONCE, **parameters},
        )

    def _replace(self, made: Sequence[Mapping[str, Any]], gone: Sequence[Mapping[str, Any]]) -> None:
        """Store rows, and then delete the others."""
        # A row keeps its version wherever it goes: what is received later replaces it. What deletes it takes the next,
        # and must not be past its retention before the row itself.
        now_s = now_ns() // NS_PER_S
        deleting = [{**row, "version": row["version"] + 1, "received_at": now_s, "is_deleted": 1} for row in gone]
        for block in (made, deleting):
            if block:
                self._store.insert("scores", rows.lines(block))


def _place(row: Mapping[str, Any]) -> Place:
    return Place(row["trace_id"], row["span_id"])


def _targets(
    store: ColumnarStore, project_id: str, response_ids: Sequence[str], trace_ids: Sequence[str] = ()
) -> dict[str, Place]:
    """Return the spans of these answers, as far as they are stored; with ``trace_ids``, in these traces."""
    these = " AND trace_id IN {traces:Array(String)}" if trace_ids else ""
    # Of several spans of one call, the innermost is the call itself: it starts last.
    found = store.select(
        f"""
        SELECT response_id, trace_id, span_id FROM spans
        WHERE project_id = {{project:String}}{these} AND response_id IN {{ids:Array(String)}}
        ORDER BY start_ns DESC, span_id LIMIT 1 BY response_id
        """,  # noqa: S608 - only our own text is put in
        {"project": project_id, "ids": list(response_ids), **({"traces": list(trace_ids)} if trace_ids else {})},
    )
    return {row["response_id"]: Place(row["trace_id"], row["span_id"]) for row in found}
