"""Own prices, and the remakes that bring stored spans in line with them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply

Dollars = Annotated[Decimal | None, Field(default=None, ge=0, le=1_000_000, decimal_places=12)]


class Rates(Body):
    """US dollars per million tokens (``_per_mtok``) or per thousand (``_per_k``); what is left out has no price."""

    input_usd_per_mtok: Dollars
    output_usd_per_mtok: Dollars
    cache_read_usd_per_mtok: Dollars
    cache_write_usd_per_mtok: Dollars
    cache_write_1h_usd_per_mtok: Dollars
    reasoning_usd_per_mtok: Dollars
    audio_input_usd_per_mtok: Dollars
    audio_cache_read_usd_per_mtok: Dollars
    audio_output_usd_per_mtok: Dollars
    image_input_usd_per_mtok: Dollars
    image_output_usd_per_mtok: Dollars
    web_search_usd_per_k: Dollars
    request_usd_per_k: Dollars


class PriceInput(Body):
    """A price to add. Prices are never changed: add a later one, or delete one that was wrong."""

    model: str = Field(min_length=1, max_length=200, description="Name of a model, or its beginning with * at the end.")
    provider: str = Field(default="", max_length=100, description="Holds for this provider only; empty: for any.")
    service_tier: str = Field(default="", max_length=40, description="E.g. batch, flex, priority; empty: for any.")
    above_input_tokens: int = Field(default=0, ge=0, description="Holds for calls with more input tokens than this.")
    effective_from: str = Field(default="", max_length=64, description="RFC 3339; empty: since ever.")
    effective_until: str = Field(default="", max_length=64, description="RFC 3339, exclusive; empty: without end.")
    rates: Rates
    note: str = Field(default="", max_length=500)


class PriceItem(Reply):
    """An own price of the project. Rates are decimal strings; those without a price are left out."""

    id: str
    model: str
    provider: str
    service_tier: str
    above_input_tokens: int
    effective_from: str | None
    effective_until: str | None
    rates: dict[str, str]
    note: str
    created_at: str


class PriceList(Reply):
    """The own prices of the project. Spans already stored change with ``POST /api/v1/reprice``."""

    items: list[PriceItem]
    list_version: str = Field(description="Version of the public price list that holds where no own price does.")


class RemakeInput(Body):
    """Which stored spans to make anew."""

    project: str = Field(default="", max_length=200, description="Project id; empty: all projects.")
    since: str = Field(default="", max_length=64, description="Leaves out traces that ended before; empty: none.")


class RemakeItem(Reply):
    """A reprice or remap and how far it is."""

    id: str
    kind: Literal["reprice", "remap"]
    projects: list[str]
    since: str | None
    state: Literal["running", "done", "stopped", "failed"]
    error: str
    traces: int = Field(description="Traces gone through.")
    spans: int = Field(description="Spans looked at.")
    changed: int = Field(description="Spans stored anew: the others said the same already.")
    started_at: str
    ended_at: str | None


class RemakeList(Reply):
    """The remakes since this server started, newest first."""

    items: list[RemakeItem]
