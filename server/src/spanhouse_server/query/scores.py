"""Scores: stored, listed, deleted, and joined to the rows of a page."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from spanhouse_server.clock import NS_PER_S, MonotonicStamps, rfc3339
from spanhouse_server.errors import NotFound
from spanhouse_server.query.page import SortKey, after_cursor, choose_sort, cursor_after
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.retention import bounded

_COLUMNS = "project_id, trace_id, span_id, session_id, name, score_id, value, label, source, explanation, evaluator, created_ns"
_SORTS = {"created": SortKey("created_ns", "Int64")}
_IDENTITY = (SortKey("created_ns", "Int64"), SortKey("score_id", "String"))
#: Leaves out judgements of answers whose span is yet to come, in no trace either (``drain.waiting_scores``).
ON_SOMETHING = "(trace_id != '' OR session_id != '')"
#: A thing with more scores than this shows the newest only.
MAX_PER_THING = 500
_stamps = MonotonicStamps()


@dataclass(frozen=True, slots=True)
class NewScore:
    """A score to store; an empty ``id`` gets a random one."""

    name: str
    id: str = ""
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    value: float | None = None
    label: str = ""
    source: str = "human"
    explanation: str = ""
    evaluator: str = ""


def store_scores(
    store: ColumnarStore, project_id: str, scores: Sequence[NewScore], retention_days: int = 0
) -> list[dict[str, Any]]:
    """Store scores and return them; a score whose id is known replaces that one, wherever it was.

    ``retention_days`` is the project's, 0 keeps them for ever.
    """
    known = _by_id(store, project_id, [score.id for score in scores if score.id])
    lines: list[bytes] = []
    shown: dict[str, dict[str, Any]] = {}
    order: list[str] = []
    for score in scores:
        version = _stamps.next_ns()
        row = _new_row(project_id, score, version, retention_days)
        old = known.get(row["score_id"])
        if old is not None:
            row["created_ns"] = old["created_ns"]
            if _key(old) != _key(row):
                lines.append(_line({**old, "version": version, "received_at": version // NS_PER_S, "is_deleted": 1}))
        known[row["score_id"]] = row
        lines.append(_line(row))
        shown[row["score_id"]] = _shown(row)
        order.append(row["score_id"])
    if lines:
        store.insert("scores", b"\n".join(lines))
    return [shown[score_id] for score_id in order]


def delete_score(store: ColumnarStore, project_id: str, score_id: str) -> None:
    """Delete a score; raise ``NotFound`` when the project has none with this id."""
    old = _by_id(store, project_id, [score_id]).get(score_id)
    if old is None:
        raise NotFound(f"no score {score_id!r} in this project")
    version = _stamps.next_ns()
    store.insert("scores", _line({**old, "version": version, "received_at": version // NS_PER_S, "is_deleted": 1}))


def list_scores(
    store: ColumnarStore, project_id: str, window: Window, only: Mapping[str, str], limit: int, cursor: str
) -> dict[str, Any]:
    """Return a page of scores, newest first; ``only`` maps columns to values, empty ones ignored."""
    parameters: dict[str, Any] = {"project": project_id, "limit": limit + 1}
    parts = ["project_id = {project:String}", ON_SOMETHING]
    for column in ("trace_id", "span_id", "session_id", "name", "source"):
        if only.get(column):
            parameters[column] = only[column]
            parts.append(f"{column} = {{{column}:String}}")
    if window.from_ns is not None:
        parameters["from_ns"] = window.from_ns
        parts.append("created_ns >= {from_ns:Int64}")
    if window.to_ns is not None:
        parameters["to_ns"] = window.to_ns
        parts.append("created_ns < {to_ns:Int64}")
    sort = choose_sort("-created", _SORTS, "-created", _IDENTITY)
    parts.append(after_cursor(sort, cursor, parameters))
    rows = store.select(
        f"SELECT {_COLUMNS}, {sort.columns} FROM scores FINAL WHERE {' AND '.join(parts)}"
        f" ORDER BY {sort.order_by} LIMIT {{limit:UInt32}}",
        parameters,
    )
    more = len(rows) > limit
    rows = rows[:limit]
    return {"items": [_shown(row) for row in rows], "next_cursor": cursor_after(sort, rows[-1]) if more else None}


def scores_of(
    store: ColumnarStore, project_id: str, *, trace_id: str = "", span_id: str = "", session_id: str = ""
) -> list[dict[str, Any]]:
    """Return the scores of one trace (its spans' included), one span or one session, newest first."""
    only = {"trace_id": trace_id, "span_id": span_id, "session_id": session_id}
    items: list[dict[str, Any]] = list_scores(store, project_id, Window(), only, MAX_PER_THING, "")["items"]
    return items


def score_summaries(
    store: ColumnarStore, project_id: str, by: str, ids: Sequence[Any]
) -> dict[Any, dict[str, dict[str, Any]]]:
    """Return for each trace, span or session of a page its scores by name: mean, newest label, count.

    ``by`` is ``trace_id``, ``span_id`` (then ids are pairs of trace and span) or ``session_id``.
    """
    if not ids:
        return {}
    own = {"trace_id": "trace_id", "span_id": "(trace_id, span_id)", "session_id": "session_id"}[by]
    kind = "Array(Tuple(String, String))" if by == "span_id" else "Array(String)"
    narrowed = " AND trace_id IN ({traces:Array(String)})" if by == "span_id" else ""
    rows = store.select(
        f"SELECT {own} AS thing, name, avg(value) AS mean, argMax(label, created_ns) AS newest, count() AS n"
        f" FROM scores FINAL WHERE project_id = {{project:String}}{narrowed} AND {own} IN ({{ids:{kind}}})"
        f" GROUP BY thing, name ORDER BY name",
        {
            "project": project_id,
            "ids": list(ids),
            **({"traces": sorted({trace_id for trace_id, _ in ids})} if by == "span_id" else {}),
        },
    )
    found: dict[Any, dict[str, dict[str, Any]]] = {}
    for row in rows:
        summary = {"value": row["mean"], "label": row["newest"], "count": row["n"]}
        found.setdefault(row["thing"], {})[row["name"]] = summary
    return found


def summarised(scores: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what ``score_summaries`` would say, from all scores of one thing, newest first."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for score in scores:
        by_name.setdefault(score["name"], []).append(score)
    summaries = {}
    for name, given in sorted(by_name.items()):
        values = [score["value"] for score in given if score["value"] is not None]
        mean = sum(values) / len(values) if values else None
        summaries[name] = {"value": mean, "label": given[0]["label"], "count": len(given)}
    return summaries


def _by_id(store: ColumnarStore, project_id: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    rows = store.select(
        f"SELECT {_COLUMNS} FROM scores FINAL"
        " WHERE project_id = {project:String} AND score_id IN ({ids:Array(String)})",
        {"project": project_id, "ids": list(ids)},
    )
    return {row["score_id"]: row for row in rows}


def _new_row(project_id: str, score: NewScore, version: int, retention_days: int) -> dict[str, Any]:
    row = asdict(score)
    row["score_id"] = row.pop("id") or secrets.token_hex(12)
    return {
        **row,
        "project_id": project_id,
        "version": version,
        "is_deleted": 0,
        "received_at": version // NS_PER_S,
        "retention_days": bounded(retention_days),
        "created_ns": version,
    }


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("trace_id", "span_id", "session_id", "name", "score_id"))


def _line(row: Mapping[str, Any]) -> bytes:
    return orjson.dumps(dict(row))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["score_id"],
        "trace_id": row["trace_id"],
        "span_id": row["span_id"],
        "session_id": row["session_id"],
        "name": row["name"],
        "value": row["value"],
        "label": row["label"],
        "source": row["source"],
        "explanation": row["explanation"],
        "evaluator": row["evaluator"],
        "created_at": rfc3339(row["created_ns"]),
    }
