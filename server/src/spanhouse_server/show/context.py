"""What the handlers of the API work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.channels.contract import NoOutward, Outward
from spanhouse_server.derive.budgets.guard import BudgetGuard
from spanhouse_server.derive.runner import Runner
from spanhouse_server.remake import Remakes
from spanhouse_server.show.live import LiveHub
from spanhouse_server.show.logins import Logins
from spanhouse_server.spool.contract import Spool
from spanhouse_server.store.access import Access
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from spanhouse_server.store.own_prices import PriceBooks


@dataclass(slots=True)
class ShowContext:
    """The parts of the house that the API shows."""

    store: ColumnarStore
    records: RecordsStore
    access: Access
    settings: Settings
    spool: Spool
    prices: PriceBooks
    remakes: Remakes
    runner: Runner
    budgets: BudgetGuard
    live: LiveHub = field(default_factory=LiveHub)
    logins: Logins = field(default_factory=Logins)
    outward: Outward = field(default_factory=NoOutward)


def context_of(request: Request) -> ShowContext:
    """Return the context that ``show.api.router`` was built with."""
    context: ShowContext = request.scope["spanhouse.show"]
    return context


Context = Annotated[ShowContext, Depends(context_of)]
