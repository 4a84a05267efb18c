"""Which rows a question about money is about, and how their groups are written in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import Selection, select_rows
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.metrics import MAX_GROUPINGS, bounded_range
from spanhouse_server.query.times import Window

DEFAULT_RANGE_NS = 30 * 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True)
class CostQuery:
    """A range of time and a filter; an open range is the last 30 days."""

    window: Window = Window()
    q: str = ""

    def bounded(self) -> CostQuery:
        """Return the query with both ends set."""
        return CostQuery(Window(*bounded_range(self.window, DEFAULT_RANGE_NS)), self.q)


def counted_rows(project_id: str, query: CostQuery) -> Selection:
    """Return the spans of ``span_index`` that count in sums; raise ``BadQuery``."""
    selected = select_rows("spans", project_id, query.window, query.q)
    return Selection(f"{selected.where} AND counted", selected.parameters)


def group_names(group_by: str) -> list[str]:
    """Return the fields of a ``group_by``; raise ``BadQuery`` for too many or unknown ones."""
    names = [name.strip() for name in group_by.split(",") if name.strip()]
    if len(names) > MAX_GROUPINGS:
        raise BadQuery(f"grouped by {len(names)} fields, at most {MAX_GROUPINGS}", "leave some out")
    for name in names:
        grouping_field(name)
    return names


def group_sql(names: Sequence[str], parameters: dict[str, Any]) -> str:
    """Return SQL for the group of a row of ``span_index``: an array of texts.

    A row with several values of a list (tags) belongs to the group of each of them.
    """
    keys = []
    for index, name in enumerate(names):
        known, key = grouping_field(name)
        own = str(known.span)
        if key:
            parameters[f"group{index}"] = key
            own = own.replace("{key}", f"{{group{index}:String}}")
        if known.span_many:
            own = f"arrayJoin(if(empty({own}), [''], {own}))"
        keys.append(f"toString({own})")
    return f"[{', '.join(keys)}]" if keys else "emptyArrayString()"


def shown_group(names: Sequence[str], group: Sequence[str]) -> Mapping[str, str]:
    """Return a group as the API shows it."""
    return dict(zip(names, group, strict=True))
