"""Put judgements on the spans they are about where the sender knew only the model's answer.

``gen_ai.evaluation.result`` may name ``gen_ai.response.id`` instead of a span. The batch's own spans are
stored by then, so a judgement may come together with what it judges, or later; one that comes before its
span stays on the trace it names, if any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore

#: Response ids looked for in one statement.
CHUNK = 1000


def place_feedback(store: ColumnarStore, unplaced: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Store rows of ``scores``, each given with the id of the response it judges."""
    by_project: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for response_id, row in unplaced:
        by_project.setdefault(row["project_id"], []).append((response_id, row))
    placed: list[Mapping[str, Any]] = []
    for project_id, waiting in by_project.items():
        for start in range(0, len(waiting), CHUNK):
            part = waiting[start : start + CHUNK]
            targets = _targets(store, project_id, sorted({response_id for response_id, _ in part}))
            for response_id, row in part:
                target = targets.get(response_id)
                if target is not None:
                    placed.append({**row, "trace_id": target[0], "span_id": target[1]})
                elif row["trace_id"]:
                    placed.append(row)
    if placed:
        store.insert("scores", rows.lines(placed))


def _targets(store: ColumnarStore, project_id: str, response_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    found = store.select(
        "SELECT response_id, trace_id, span_id FROM spans"
        " WHERE project_id = {project:String} AND response_id IN ({ids:Array(String)})"
        # Of several spans of one call, the innermost is the call itself: it starts last.
        " ORDER BY start_ns DESC, span_id LIMIT 1 BY response_id",
        {"project": project_id, "ids": list(response_ids)},
    )
    return {row["response_id"]: (row["trace_id"], row["span_id"]) for row in found}
