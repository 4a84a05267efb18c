"""The events of one service level in memory, read in few pieces: every window is then added up from them."""

from __future__ import annotations

from spanhouse_server.derive.series import MemorySeries, Series, SeriesQuery, SeriesSource
from spanhouse_server.derive.slo.burn import PAIRS
from spanhouse_server.derive.slo.events import events_of
from spanhouse_server.model.budgets import Slo

#: Pieces that windows of hours are put together from, and those that windows of days are.
FINE_S = 60
COARSE_S = 1800
#: Windows that end within the last coarse piece and are no longer than this take fine pieces.
_FINE_WINDOW_S = max(pair.long_s for pair in PAIRS if pair.grain_s < COARSE_S)
_LONGEST_S = max(pair.long_s for pair in PAIRS)


class HeldEvents:
    """A ``SeriesSource`` of one service level's metrics, all events and bad ones apart though both may be one metric."""

    def __init__(self, slo: Slo, source: SeriesSource, from_s: int, to_s: int, fine_s: int = FINE_S) -> None:
        """Read what ``burn_rates`` asks for at moments from ``from_s`` to ``to_s``.

        ``fine_s`` divides 300, or is less where every moment is a multiple of it.
        """
        self._coarse_from_s = (from_s - _LONGEST_S) // COARSE_S * COARSE_S
        end_s = (to_s // COARSE_S + 1) * COARSE_S
        fine_from_s = (from_s - _FINE_WINDOW_S) // COARSE_S * COARSE_S - COARSE_S
        events = events_of(slo)
        self._fine: dict[tuple[str, str], MemorySeries] = {}
        self._coarse: dict[tuple[str, str], MemorySeries] = {}
        for metric, q in ((events.all_metric, events.all_q), (events.bad_metric, events.bad_q)):
            for held, width_s, begin_s in (
                (self._fine, fine_s, fine_from_s),
                (self._coarse, COARSE_S, self._coarse_from_s),
            ):
                query = SeriesQuery(metric, q=q, interval_s=width_s)
                lines = source.read(slo.project_id, query, begin_s, end_s)
                held[metric, q] = MemorySeries({metric: lines}, width_s)

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        """Return series of what is held; see ``SeriesSource``."""
        whole = from_s % COARSE_S == 0 and query.interval_s % COARSE_S == 0
        held = self._coarse if whole else self._fine
        return held[query.metric, query.q].read(project_id, query, from_s, to_s)
