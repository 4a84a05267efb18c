"""Which windows are due: those that spans settled in since a worker looked last, or those of a past range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.contract import TimeWindow
from spanhouse_server.store.contract import ColumnarStore

#: Settle stamps are looked at in slots of this width, each of which has either changed since or not.
SLOT_NS = 10 * NS_PER_S
#: Rows of one page of the scan: bounds memory when very much settled at once.
PAGE = 50_000
#: Windows that lie together are derived in one call, up to this span of time, over gaps of up to so many.
TOGETHER_S = 3600
GAP = 2


class Step(NamedTuple):
    """One window of one project, by its number since 1970."""

    project_id: str
    number: int


class Settled(NamedTuple):
    """What settled within one slot in one window; ``print`` differs whenever rows came or went."""

    slot: int
    step: Step
    print: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the past: its windows that hold spans, and where it begins."""

    from_ns: int
    windows: list[TimeWindow]


def settled_since(store: ColumnarStore, since_ns: int, window_s: int) -> Iterator[list[Settled]]:
    """Yield what settled at or after a stamp (ns), rounded down to its slot, in order of slots, page by page.

    Superseded rows count too: a span that moved makes both the window it left and the one it came to due.
    """
    sql = f"""
        SELECT intDiv(version, {SLOT_NS}) AS slot, project_id, intDiv(start_ns, {window_s * NS_PER_S}) AS step,
            count() AS n, sum(version) AS versions, sum(start_ns) AS starts
        FROM span_index
        WHERE version >= {{since:UInt64}} AND (slot, project_id, step) > ({{slot:UInt64}}, {{project:String}}, {{step:Int64}})
        GROUP BY slot, project_id, step ORDER BY slot, project_id, step LIMIT {PAGE}
        """  # noqa: S608 - constants
    first = max(since_ns, 0) // SLOT_NS
    after = {"slot": first, "project": "", "step": -1}
    while True:
        rows = store.select(sql, {"since": first * SLOT_NS, **after})
        if rows:
            yield [
                Settled(row["slot"], Step(row["project_id"], row["step"]), (row["n"], row["versions"], row["starts"]))
                for row in rows
            ]
        if len(rows) < PAGE:
            return
        after = {"slot": rows[-1]["slot"], "project": rows[-1]["project_id"], "step": rows[-1]["step"]}


def stretch_before(
    store: ColumnarStore, project_id: str, from_ns: int, before_ns: int, window_s: int
) -> Stretch | None:
    """Return the newest stretch with spans between two start times, or nothing; empty project: all of them."""
    own = "start_ns >= {from_ns:Int64} AND start_ns < {before_ns:Int64}"
    if project_id:
        own += " AND project_id = {project:String}"
    parameters = {"project": project_id, "from_ns": from_ns, "before_ns": before_ns}
    [newest] = store.select(
        f"SELECT count() AS n, max(start_ns) AS newest_ns FROM span_index WHERE {own}",  # noqa: S608 - constants
        parameters,
    )
    if not newest["n"]:
        return None
    stretch_ns = max(TOGETHER_S // window_s, 1) * window_s * NS_PER_S
    first_ns = max(newest["newest_ns"] // stretch_ns * stretch_ns, from_ns)
    steps = store.select(
        f"SELECT DISTINCT project_id, intDiv(start_ns, {window_s * NS_PER_S}) AS step FROM span_index WHERE {own}",  # noqa: S608
        parameters | {"from_ns": first_ns},
    )
    return Stretch(first_ns, together((Step(row["project_id"], row["step"]) for row in steps), window_s))


def together(steps: Iterable[Step], window_s: int) -> list[TimeWindow]:
    """Return windows that hold some steps, neighbours joined, in order of project and time."""
    most = max(TOGETHER_S // window_s, 1)
    joined: list[tuple[str, int, int]] = []
    for project_id, number in sorted(set(steps)):
        if joined:
            last_project, first, last = joined[-1]
            if project_id == last_project and number - last <= GAP and number - first < most:
                joined[-1] = (project_id, first, number)
                continue
        joined.append((project_id, number, number))
    width_ns = window_s * NS_PER_S
    return [TimeWindow(project, first * width_ns, (last + 1) * width_ns) for project, first, last in joined]


def changed(page: Iterable[Settled], seen: Mapping[tuple[int, Step], tuple[int, int, int]]) -> list[Settled]:
    """Return what of a page was not derived as it is now."""
    return [each for each in page if seen.get((each.slot, each.step)) != each.print]
