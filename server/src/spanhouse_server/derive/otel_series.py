"""Stored OTLP metrics as series: what serving engines and collectors report, for rules to watch.

Such a metric is written ``otel:<name>``, with ``@<statistic>`` behind it for another than its usual one:
``otel:vllm:num_requests_waiting``, ``otel:http.server.request.duration@p95``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.metrics import MAX_BUCKETS
from spanhouse_server.query.points import PointQuery, otel_metrics
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

if TYPE_CHECKING:
    from spanhouse_server.derive.series import SeriesQuery

OTEL = "otel:"

Lines = dict[tuple[str, ...], dict[int, float | None]]


def is_otel(metric: str) -> bool:
    """Tell whether a metric is a stored OTLP metric."""
    return metric.startswith(OTEL)


def split_otel(metric: str) -> tuple[str, str]:
    """Return name and statistic (empty: the usual one); raise ``BadQuery`` where there is no name."""
    name, _, stat = metric.removeprefix(OTEL).partition("@")
    if not name.strip():
        raise BadQuery(f"{metric[:60]!r} names no metric", "write otel:name, or otel:name@p95")
    return name.strip(), stat.strip()


def read_otel(store: ColumnarStore, project_id: str, query: SeriesQuery, starts: Sequence[int]) -> Lines:
    """Return the lines by group; groups are values of attributes, ``service_name`` or ``host_name``."""
    name, stat = split_otel(query.metric)
    if query.q.strip():
        raise BadQuery(f"{query.metric[:60]} takes no filter", "group by an attribute instead")
    if query.offset_s % query.interval_s:
        raise BadQuery(
            f"{query.metric[:60]} is read in buckets of its own", "set params.aggregate to avg, min, max or last"
        )
    found: Lines = {}
    for first in range(0, len(starts), MAX_BUCKETS):
        piece = starts[first : first + MAX_BUCKETS]
        window = Window(piece[0] * NS_PER_S, (piece[-1] + query.interval_s) * NS_PER_S)
        asked = PointQuery(name, query.interval_s, window, query.limit, stat, list(query.group_by))
        for series in otel_metrics(store, project_id, asked)["series"]:
            group = tuple(series["attributes"].get(field, "") for field in query.group_by)
            found.setdefault(group, {}).update({int(start): value for start, value in series["points"]})
    return found
