"""The rollup worker: makes whole minutes and the hours they lie in, and says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.derive.contract import Lease, TimeWindow
from spanhouse_server.derive.rollup.statements import HOURS, MARK_COLUMNS, MINUTES, ROLLUP_COLUMNS, marks
from spanhouse_server.errors import LeaseLost
from spanhouse_server.query.rollups import HOUR_S, MINUTE_S
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.retention import bounded

DAY_S = 86_400
#: An unchanged position is told again after this long, so that readers do not look back ever further.
TELL_AGAIN_NS = 60 * NS_PER_S
HOUR_NS = HOUR_S * NS_PER_S
#: Hours looked up in one go after a start.
MOST_STALE = 100_000

#: (project_id, unix seconds of its beginning)
Hour = tuple[str, int]


class Rollup:
    """Keeps ``rollups`` in line with ``span_index`` (see ``migrations/columnar/0009_rollups.sql``).

    ``retention_days`` 0 keeps them for ever; ``tier_key`` is the metadata key that holds a user's tier.
    """

    name = "rollup"
    every_s = 30.0
    window_s = MINUTE_S
    past = True

    def __init__(
        self, store: ColumnarStore, retention_days: int, tier_key: str, clock_ns: Callable[[], int] = now_ns
    ) -> None:
        self._store = store
        self._retention_days = bounded(retention_days)
        self._tier_key = tier_key
        self._clock_ns = clock_ns
        self._told = (0, -1)
        self._derived = False
        self._stale: set[Hour] | None = None

    def derive(self, window: TimeWindow, lease: Lease) -> int:
        """Make the minutes of a window; return how many rows now hold them."""
        parameters = self._parameters(window.project_id, window.from_s, window.to_s, lease)
        parameters |= {"from_ns": window.from_ns, "to_ns": window.to_ns}
        self._store.derive("rollups", ROLLUP_COLUMNS, MINUTES, parameters)
        self._store.derive("rollup_marks", MARK_COLUMNS, marks(MINUTE_S), parameters)
        self._derived = True
        if self._stale is not None:
            first_s = window.from_s // HOUR_S * HOUR_S
            self._stale |= {(window.project_id, hour_s) for hour_s in range(first_s, window.to_s, HOUR_S)}
        rows = self._store.select(
            "SELECT count() AS made FROM rollups WHERE project_id = {project:String} AND step_s = 60"
            " AND start_s >= {from_s:Int64} AND start_s < {to_s:Int64} AND generation = {generation:UInt64}",
            parameters,
        )
        return int(rows[0]["made"])

    def mark(self, position_ns: int, covered_ns: int, lease: Lease) -> None:
        """Make the hours that are over, then tell readers how far the rollups are; while nothing happens now and then.

        Readers use no hour that was not over at ``position_ns``: the hour that runs would be made again with
        each of its minutes.
        """
        told_ns, told_covered = self._told
        unchanged = covered_ns == told_covered and not self._derived
        if unchanged and 0 <= position_ns - told_ns < TELL_AGAIN_NS and told_ns // HOUR_NS == position_ns // HOUR_NS:
            return
        self._make_hours(position_ns // NS_PER_S, lease)
        keep_from_ns = 0
        if self._retention_days:
            # A day before they go, so that no reader finds them gone between looking and reading.
            keep_from_ns = max(self._clock_ns() - (self._retention_days * DAY_S - DAY_S) * NS_PER_S, 0)
        self._store.derive(
            "rollup_state",
            ("project_id", "generation", "position_ns", "covered_from_ns", "keep_from_ns", "tier_key"),
            # What went for its age does not come back when they are kept for longer from now on.
            "SELECT '', {generation:UInt64}, {position:Int64}, {covered:Int64},"
            " greatest({keep:Int64}, ifNull((SELECT max(keep_from_ns) FROM rollup_state), 0)), {tier:String}",
            {
                "generation": lease.fence,
                "position": position_ns,
                "covered": covered_ns,
                "keep": keep_from_ns,
                "tier": self._tier_key,
            },
        )
        self._told = (position_ns, covered_ns)
        self._derived = False

    def _parameters(self, project_id: str, from_s: int, to_s: int, lease: Lease) -> dict[str, Any]:
        return {
            "project": project_id,
            "from_s": from_s,
            "to_s": to_s,
            "generation": lease.fence,
            "keep_days": self._retention_days,
            "tier": self._tier_key,
            "now_s": min(self._clock_ns() // NS_PER_S, 2**32 - 1),
        }

    def _make_hours(self, until_s: int, lease: Lease) -> None:
        """Make the hours that ended by ``until_s`` and of which a minute is newer."""
        while True:
            whole = self._stale is not None
            stale = self._stale if self._stale is not None else self._stale_hours()
            over = sorted(hour for hour in stale if hour[1] + HOUR_S <= until_s)
            for project_id, from_s, to_s in _runs(over):
                if not lease.still_held():
                    raise LeaseLost("the lease of rollup ran out", "nothing to do: whoever holds it makes these hours")
                parameters = self._parameters(project_id, from_s, to_s, lease)
                self._store.derive("rollups", ROLLUP_COLUMNS, HOURS, parameters)
                self._store.derive("rollup_marks", MARK_COLUMNS, marks(HOUR_S), parameters)
                stale -= {(project_id, hour_s) for hour_s in range(from_s, to_s, HOUR_S)}
            if whole or len(stale) + len(over) < MOST_STALE or not over:
                self._stale = stale
                return

    def _stale_hours(self) -> set[Hour]:
        """Return the hours that are older than one of their minutes: what an earlier process left undone."""
        rows = self._store.select(
            f"SELECT project_id, intDiv(start_s, {HOUR_S}) * {HOUR_S} AS hour_s FROM rollup_marks"  # noqa: S608 - constants
            f" GROUP BY project_id, hour_s HAVING maxIf(generation, step_s = {MINUTE_S}) > maxIf(generation, step_s = {HOUR_S})"
            f" ORDER BY hour_s, project_id LIMIT {MOST_STALE}"
        )
        return {(row["project_id"], row["hour_s"]) for row in rows}


def _runs(hours: Sequence[Hour]) -> list[tuple[str, int, int]]:
    """Return sorted hours as ranges, up to a day each."""
    runs: list[tuple[str, int, int]] = []
    for project_id, hour_s in hours:
        if runs and runs[-1][0] == project_id and runs[-1][2] == hour_s and hour_s - runs[-1][1] < DAY_S:
            runs[-1] = (project_id, runs[-1][1], hour_s + HOUR_S)
        else:
            runs.append((project_id, hour_s, hour_s + HOUR_S))
    return runs
