"""Which answers are waited for: those that were judged before a span of theirs was stored.

A judgement that names only ``gen_ai.response.id`` waits in ``scores`` without a span, however long its span
takes. What each batch brings is held against the answers that are waited for. They are read from the store at
the first batch after a start and kept in memory: where none is, that costs nothing. Where other servers write to
the same store, they are read at each batch. Where they are too many for that, the store is asked for those of
the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.drain.transform import PreparedTrace
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.contract import ColumnarStore, TraceKey

log = logging.getLogger("spanhouse.pipeline")

#: Response ids or traces per statement.
CHUNK = 1000
#: Answers remembered, in about 8 MB; once more wait, the store is asked at each batch until the next start.
MOST_REMEMBERED = 100_000
#: Answers read at each batch where other servers write too: in a few milliseconds, where asking for those of a large
#: batch takes some hundred.
MOST_READ = 1000
#: Judgements that have waited longer when they would have to be read from the store stay where they are: on the
#: trace they name, if any. They find their span when they are sent again.
LONGEST_DAYS = 30

# As FINAL would tell, which reads every row; here only those that wait or waited.
_WAITING = """
SELECT project_id, response_id FROM scores
WHERE response_id != '' AND span_id = '' AND received_at >= toDateTime({since_s:UInt32}, 'UTC')
GROUP BY project_id, trace_id, session_id, name, score_id, response_id
HAVING argMax(is_deleted, version) = 0
LIMIT 1 BY project_id, response_id
LIMIT {limit:UInt32}
"""
# One may be named that has been placed; looking for it again finds nothing to place.
_ASKED = """
SELECT DISTINCT response_id FROM scores
WHERE project_id = {project:String} AND response_id IN {ids:Array(String)} AND span_id = '' AND is_deleted = 0
  AND received_at >= toDateTime({since_s:UInt32}, 'UTC')
"""

Awaited = Mapping[str, Mapping[str, Collection[str]]]
"""By project and response id, the traces in which a span of an answer that is waited for was just stored."""


class WaitingScores:
    """Remembers the answers that are waited for. Used by the draining thread."""

    def __init__(self, store: ColumnarStore) -> None:
        self._store = store
        self._loaded = False
        #: ``None`` when they are too many.
        self._ids: _Answers | None = _Answers()

    def add(self, project_id: str, response_ids: Iterable[str]) -> None:
        """Remember that judgements of these answers, stored by now, wait."""
        if not self._loaded or self._ids is None:
            return
        self._ids.add(project_id, response_ids)
        if self._ids.count > MOST_REMEMBERED:
            self._ids = None
            log.warning("judgements wait for more than %d answers: each batch asks the store now", MOST_REMEMBERED)

    def discard(self, project_id: str, response_ids: Iterable[str]) -> None:
        """Forget answers of which no judgement waits any more."""
        if self._ids is not None:
            self._ids.discard(project_id, response_ids)

    def awaited(self, stored: Mapping[TraceKey, PreparedTrace], changed: Collection[TraceKey]) -> Awaited:
        """Return which answers are waited for of those with spans in these traces, which the store has by now.

        ``stored`` are a batch's own; of the ``changed`` ones the store tells the response ids.
        """
        if not stored and not changed:
            return {}
        waiting = self._waiting()
        if waiting is not None and not waiting.by_project:
            return {}
        projects = None if waiting is None else waiting.by_project
        found: dict[str, dict[str, set[str]]] = {}
        for (project_id, trace_id), response_id in self._candidates(stored, changed, projects):
            if projects is None or hash(response_id) in projects[project_id]:
                found.setdefault(project_id, {}).setdefault(response_id, set()).add(trace_id)
        if projects is not None:
            return found
        return {project_id: waited for project_id, its in found.items() if (waited := self._asked(project_id, its))}

    def _waiting(self) -> _Answers | None:
        """Return the answers that are waited for, or nothing where they are too many."""
        if not self._store.exclusive:
            return self._read(MOST_READ)
        if not self._loaded:
            self._ids = self._read(MOST_REMEMBERED)
            self._loaded = True
        return self._ids

    def _read(self, most: int) -> _Answers | None:
        rows = self._store.select(_WAITING, {"since_s": _since_s(), "limit": most + 1})
        if len(rows) > most:
            return None
        answers = _Answers()
        for row in rows:
            answers.add(row["project_id"], [row["response_id"]])
        return answers

    def _candidates(
        self,
        stored: Mapping[TraceKey, PreparedTrace],
        changed: Collection[TraceKey],
        projects: Collection[str] | None,
    ) -> Iterator[tuple[TraceKey, str]]:
        """Yield every trace of these projects, or of all, with each of its response ids."""
        for trace_key, trace in stored.items():
            if projects is None or trace_key[0] in projects:
                for response_id in trace.response_ids:
                    yield trace_key, response_id
        by_project: dict[str, list[str]] = {}
        for project_id, trace_id in changed:
            if projects is None or project_id in projects:
                by_project.setdefault(project_id, []).append(trace_id)
        for project_id, trace_ids in by_project.items():
            for part in chunks(sorted(trace_ids), CHUNK):
                rows = self._store.select(
                    "SELECT DISTINCT trace_id, response_id FROM spans"
                    " WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)} AND response_id != ''",
                    {"project": project_id, "traces": part},
                )
                for row in rows:
                    yield (project_id, row["trace_id"]), row["response_id"]

    def _asked(self, project_id: str, candidates: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """Return those of the answers for which the store says that a judgement may wait."""
        waited: dict[str, set[str]] = {}
        for part in chunks(sorted(candidates), CHUNK):
            rows = self._store.select(_ASKED, {"project": project_id, "ids": part, "since_s": _since_s()})
            waited |= {row["response_id"]: candidates[row["response_id"]] for row in rows}
        return waited


class _Answers:
    """Response ids by project, as hashes: senders choose them as long as they like, and the store has the last word."""

    def __init__(self) -> None:
        self.by_project: dict[str, set[int]] = {}
        self.count = 0

    def add(self, project_id: str, response_ids: Iterable[str]) -> None:
        ids = self.by_project.setdefault(project_id, set())
        before = len(ids)
        ids.update(map(hash, response_ids))
        self.count += len(ids) - before

    def discard(self, project_id: str, response_ids: Iterable[str]) -> None:
        ids = self.by_project.get(project_id)
        if ids is None:
            return
        before = len(ids)
        ids.difference_update(map(hash, response_ids))
        self.count -= before - len(ids)
        if not ids:
            del self.by_project[project_id]


def _since_s() -> int:
    return now_ns() // NS_PER_S - LONGEST_DAYS * 86_400
