"""Which part of a time range the rollups can answer, and for which questions.

Rollups hold buckets of a minute and of an hour. A minute is read from them when everything of it that
was stored is in them; the others (touched since the worker passed, not whole, not yet caught up, too
old) are read from the spans. Both give the same figures, so the cut is never seen.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.query.fields import Field
from spanhouse_server.query.filter import And, Condition, Node, Not, Or
from spanhouse_server.store.contract import ColumnarStore

MINUTE_S = 60
HOUR_S = 3600
#: Rows can appear in the store this much after their settle stamp (a batch on its way), and are then in the
#: spans but not yet in the rollups; minutes touched so shortly before the worker's pass are not relied on. The worker
#: looks back as far (``derive.passes``).
LATE_S = 300
#: What began within so short a time is nearly all touched: it is read from the spans without looking.
RECENT_S = 600
#: More touched minutes than these, and the spans are read throughout.
MAX_TOUCHED = 20_000
#: Touched minutes are joined into this many ranges, so that the statement stays short.
MAX_RANGES = 16
#: Plans hold this long (seconds) for whoever reads several figures, and so many are remembered.
PLAN_HOLDS_S = 1.0
MAX_PLANS = 64

#: What reading a row of rollups costs, in rows of spans: of sums, and with a sketch to merge (tests/bench/bench_derive.py).
ROW_COST = 2
SKETCH_COST = 20

#: Columns of ``rollups`` by which figures are grouped and filtered, and the SQL over ``span_index`` that gives them.
DIMENSIONS = {
    "model": "model",
    "provider": "provider",
    "operation": "operation",
    "category": "category",
    "service_name": "service_name",
    "environment": "environment",
    "release": "release",
    "status_code": "status_code",
    "error_type": "error_type",
    "cost_status": "cost_status",
    "finish_reasons": "finish_reasons",
    "user_tier": "metadata[{tier:String}]",
}
_FLAGS = frozenset({"error", "model", "llm"})

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the parts of a time range are read from; seconds but for ``spans_ns``. Ranges exclude their end."""

    spans_ns: Sequence[Range]
    minutes: Sequence[Range] = ()
    hours: Sequence[Range] = ()


def rolled_keys(fields: Iterable[tuple[Field, str]], node: Node | None) -> set[str] | None:
    """Return the metadata keys that grouping and filter use, or nothing if rollups cannot answer them."""
    keys: set[str] = set()
    for field, key in fields:
        if not _knows(field, key, keys):
            return None
    return keys if node is None or _answers(node, keys) else None


def plan_range(
    store: ColumnarStore,
    project_id: str,
    start_ns: int,
    end_ns: int,
    interval_s: int,
    tier_keys: set[str],
    *,
    sketches: bool = False,
) -> Plan:
    """Divide a time range between the spans and the rollups, for buckets of ``interval_s``.

    With few spans to each group the spans are quicker to read, ``sketches`` (percentiles) above all: then they are.
    """
    spans_only = Plan([(start_ns, end_ns)])
    recent = start_ns >= now_ns() - RECENT_S * NS_PER_S
    if recent or interval_s % MINUTE_S or len(tier_keys) > 1 or (end_ns - start_ns) < 2 * MINUTE_S * NS_PER_S:
        return spans_only
    states = store.select(
        "SELECT position_ns, greatest(covered_from_ns, keep_from_ns) AS from_ns, tier_key FROM rollup_state"
        " WHERE project_id = '' ORDER BY generation DESC LIMIT 1"
    )
    if not states or tier_keys - {states[0]["tier_key"]}:
        return spans_only
    first_s = -(-max(start_ns, states[0]["from_ns"]) // (MINUTE_S * NS_PER_S)) * MINUTE_S
    last_s = end_ns // (MINUTE_S * NS_PER_S) * MINUTE_S
    if first_s >= last_s:
        return spans_only
    touched = _touched(store, project_id, first_s, last_s, states[0]["position_ns"], tier_keys)
    if touched is None:
        return spans_only
    clean = _gaps(touched, first_s, last_s)
    # Hours are made once they are over.
    over_s = states[0]["position_ns"] // NS_PER_S if interval_s % HOUR_S == 0 else 0
    cut = [_cut(each, over_s) for each in clean]
    around = [(start_ns, first_s * NS_PER_S), *((a * NS_PER_S, b * NS_PER_S) for a, b in touched)]
    around.append((last_s * NS_PER_S, end_ns))
    plan = Plan(
        [(a, b) for a, b in around if a < b],
        [minutes for ranges, _ in cut for minutes in ranges],
        [hours for _, ranges in cut for hours in ranges],
    )
    return plan if _is_cheaper(store, project_id, plan, SKETCH_COST if sketches else ROW_COST) else spans_only


class Plans:
    """Plans for one store. What was planned a moment ago holds: several figures of one range are read together.

    A plan that is so old reads the rollups as they are and the spans that were touched by then, so what settled in
    between is seen that much later. Thread-safe.
    """

    def __init__(self, store: ColumnarStore, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic_s = monotonic_s
        self._made: OrderedDict[tuple[object, ...], tuple[float, Plan]] = OrderedDict()
        self._lock = threading.Lock()

    def range(
        self, project_id: str, start_ns: int, end_ns: int, interval_s: int, tier_keys: set[str], *, sketches: bool
    ) -> Plan:
        """Return the plan for a range; see ``plan_range``."""
        key = (project_id, start_ns, end_ns, interval_s, frozenset(tier_keys), sketches)
        with self._lock:
            known = self._made.get(key)
        now_s = self._monotonic_s()
        if known is not None and now_s - known[0] < PLAN_HOLDS_S:
            return known[1]
        plan = plan_range(self._store, project_id, start_ns, end_ns, interval_s, tier_keys, sketches=sketches)
        with self._lock:
            self._made[key] = (now_s, plan)
            self._made.move_to_end(key)
            while len(self._made) > MAX_PLANS:
                self._made.popitem(last=False)
        return plan


def within(column: str, ranges: Sequence[Range]) -> str:
    """Return the condition that a whole number lies in one of some ranges."""
    return "(" + " OR ".join(f"({column} >= {a} AND {column} < {b})" for a, b in ranges) + ")" if ranges else "0"


def rolled_rows(step_s: int, ranges: Sequence[Range]) -> str:
    """Return the SQL of the rows of ``rollups`` to read for some ranges of one project (``{project:String}``)."""
    own = f"project_id = {{project:String}} AND step_s = {step_s} AND {within('start_s', ranges)}"
    return (
        f"SELECT *, map(toString(tier_key), toString(user_tier)) AS metadata FROM rollups WHERE {own}"
        f" AND (start_s, generation) IN (SELECT start_s, max(generation) FROM rollup_marks WHERE {own} GROUP BY start_s)"
    )


def _knows(field: Field, key: str, keys: set[str]) -> bool:
    if field.name == "metadata":
        keys.add(key)
        return True
    return not field.keyed and field.payload is None and field.span in DIMENSIONS


def _answers(node: Node, keys: set[str]) -> bool:
    if isinstance(node, Not):
        return _answers(node.node, keys)
    if isinstance(node, And | Or):
        return all(_answers(each, keys) for each in node.nodes)
    if not isinstance(node, Condition):
        return False
    if node.field.type == "flag":
        return all(getattr(operand, "text", "") in _FLAGS for operand in node.operands)
    return _knows(node.field, node.key, keys)


def _is_cheaper(store: ColumnarStore, project_id: str, plan: Plan, row_cost: int) -> bool:
    """Tell whether the rollups of a plan are quicker to read than their spans, or all there is of some."""
    [found] = store.select(
        "SELECT sum(groups) AS rolled, sum(spans) AS stored, min(expires_s) AS expires_s FROM rollup_marks FINAL"
        " WHERE project_id = {project:String}"
        f" AND ((step_s = {MINUTE_S} AND {within('start_s', plan.minutes)})"
        f" OR (step_s = {HOUR_S} AND {within('start_s', plan.hours)}))",
        {"project": project_id},
    )
    return bool(found["expires_s"] < now_ns() // NS_PER_S or found["rolled"] * row_cost <= found["stored"])


def _touched(
    store: ColumnarStore, project_id: str, first_s: int, last_s: int, position_ns: int, tier_keys: set[str]
) -> list[Range] | None:
    """Return the ranges of minutes that rollups may not hold as they are stored; nothing if there are too many.

    What a bucket was made of may have expired since: then the rollup is all there is, touched or not.
    """
    sql = (
        "SELECT DISTINCT intDiv(start_ns, 60000000000) * 60 AS minute_s FROM span_index"
        " WHERE project_id = {project:String} AND version > {since:UInt64}"
        " AND start_ns >= {first_ns:Int64} AND start_ns < {last_ns:Int64} AND minute_s NOT IN ("
        "SELECT start_s FROM rollup_marks FINAL WHERE project_id = {project:String} AND step_s = 60"
        " AND start_s >= {first_s:Int64} AND start_s < {last_s:Int64} AND expires_s < {now_s:UInt32})"
    )
    if tier_keys:
        sql += (
            " UNION DISTINCT SELECT start_s FROM rollup_marks FINAL WHERE project_id = {project:String} AND step_s = 60"
            " AND start_s >= {first_s:Int64} AND start_s < {last_s:Int64} AND tier_key != {tier:String}"
        )
    rows = store.select(
        f"SELECT minute_s FROM ({sql}) LIMIT {MAX_TOUCHED + 1}",
        {
            "project": project_id,
            "since": max(position_ns - LATE_S * NS_PER_S, 0),
            "first_ns": first_s * NS_PER_S,
            "last_ns": last_s * NS_PER_S,
            "first_s": first_s,
            "last_s": last_s,
            "now_s": min(now_ns() // NS_PER_S, 2**32 - 1),
            "tier": next(iter(tier_keys), ""),
        },
    )
    if len(rows) > MAX_TOUCHED:
        return None
    return _joined(sorted(row["minute_s"] for row in rows))


def _joined(minutes: Sequence[int]) -> list[Range]:
    """Return sorted minutes as at most ``MAX_RANGES`` ranges, closing the narrowest gaps first."""
    ranges: list[Range] = []
    for minute in minutes:
        if ranges and ranges[-1][1] == minute:
            ranges[-1] = (ranges[-1][0], minute + MINUTE_S)
        else:
            ranges.append((minute, minute + MINUTE_S))
    if len(ranges) <= MAX_RANGES:
        return ranges
    gaps = sorted(range(1, len(ranges)), key=lambda at: ranges[at][0] - ranges[at - 1][1])
    kept = sorted(gaps[len(ranges) - MAX_RANGES :])
    starts = [0, *kept]
    return [(ranges[a][0], ranges[b - 1][1]) for a, b in zip(starts, [*kept, len(ranges)], strict=True)]


def _gaps(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """Return what sorted ranges leave of the range from ``first`` to ``last``."""
    starts = [first, *(end for _, end in ranges)]
    ends = [*(begin for begin, _ in ranges), last]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if a < b]


def _cut(clean: Range, over_s: int) -> tuple[list[Range], list[Range]]:
    """Return a range as the minutes around its whole hours, and those; hours are over at ``over_s``."""
    first = -(-clean[0] // HOUR_S) * HOUR_S
    last = min(clean[1], over_s) // HOUR_S * HOUR_S
    if first >= last:
        return [clean], []
    return [(a, b) for a, b in ((clean[0], first), (last, clean[1])) if a < b], [(first, last)]
