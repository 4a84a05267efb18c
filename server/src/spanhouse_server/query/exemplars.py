"""The examples kept with a metric's points: single measurements, with the span each was made in."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from spanhouse_server.clock import rfc3339
from spanhouse_server.store.contract import ColumnarStore

#: Examples of one line of a metric that may be asked for, and of all its lines together.
MAX_PER_LINE = 100
MAX_EXEMPLARS = 5000


def newest_exemplars(
    store: ColumnarStore, parameters: Mapping[str, Any], lines: Mapping[int, Hashable], per_line: int
) -> dict[Hashable, list[dict[str, Any]]]:
    """Return the newest examples of each line, at most ``per_line``, newest first.

    ``parameters`` has ``project``, ``name``, ``from_ns`` and ``to_ns``; ``lines`` maps the ids of series to
    the line each is part of.
    """
    if not lines or per_line < 1:
        return {}
    found = store.select(
        f"""
        SELECT series_id, e.time_ns AS at_ns, e.value AS measured, e.trace_id AS trace, e.span_id AS span,
            e.attributes AS labels
        FROM metric_points FINAL ARRAY JOIN exemplars AS e
        WHERE project_id = {{project:String}} AND name = {{name:String}} AND series_id IN ({{series:Array(UInt64)}})
          AND time_ns >= {{from_ns:Int64}} AND time_ns < {{to_ns:Int64}}
        ORDER BY at_ns DESC, series_id, measured LIMIT {min(per_line, MAX_PER_LINE)} BY series_id
        LIMIT {MAX_EXEMPLARS}
        """,  # noqa: S608 - only numbers of ours are put in
        {**parameters, "series": list(lines)},
    )
    newest: dict[Hashable, list[dict[str, Any]]] = {}
    for row in found:
        kept = newest.setdefault(lines[row["series_id"]], [])
        if len(kept) < per_line:
            kept.append(
                {
                    "time": rfc3339(row["at_ns"]),
                    "value": row["measured"],
                    "trace_id": row["trace"],
                    "span_id": row["span"],
                    "attributes": row["labels"],
                }
            )
    return newest
