"""The kinds of rules there are, one line each."""

from __future__ import annotations

from collections.abc import Mapping

from spanhouse_server.derive.alerts.kinds.anomaly import Anomaly
from spanhouse_server.derive.alerts.kinds.budget import BUDGET
from spanhouse_server.derive.alerts.kinds.burn_rate import BURN_RATE
from spanhouse_server.derive.alerts.kinds.contract import Kind
from spanhouse_server.derive.alerts.kinds.no_data import NoData
from spanhouse_server.derive.alerts.kinds.threshold import DRIFT, QUALITY, SCALING, Threshold
from spanhouse_server.store.contract import RecordsStore

_ALL: tuple[Kind, ...] = (
    Threshold(),
    NoData(),
    Anomaly(),
    BUDGET,
    BURN_RATE,
    DRIFT,
    QUALITY,
    SCALING,
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}


def starts_slowly(rule_type: str) -> bool:
    """Tell whether the first evaluation of a rule of this kind in a process is expected to take seconds."""
    return bool(getattr(KINDS.get(rule_type), "starts_slowly", False))


def told_once(rule_type: str) -> bool:
    """Tell whether alerts of a kind are not repeated while they go on."""
    return bool(getattr(KINDS.get(rule_type), "told_once", False))


def bind_kinds(records: RecordsStore) -> None:
    """Tell the kinds that judge by other records where those are; whoever opens the stores does."""
    BUDGET.bind(records.budgets)
    BURN_RATE.bind(records.slos)
