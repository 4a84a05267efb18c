"""Clients for a DSN: ``chdb:///folder``, ``clickhouse://…`` or ``clickhouses://…`` (TLS)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from spanhouse_server.errors import ConfigError
from spanhouse_server.store.columnar import embedded
from spanhouse_server.store.columnar.faults import translated

CONNECT_TIMEOUT_S = 5

# The client logs every refused connection; the caller reports it once, in the house's words.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the store is. ``database`` is empty for the embedded engine."""

    dsn: str
    is_embedded: bool
    database: str = ""
    folder: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def client(self, settings: dict[str, Any], timeout_s: float, *, with_database: bool = True) -> Client:
        """Return a new client whose statements all run under ``settings``."""
        if self.is_embedded:
            with translated(), embedded.folder_faults(self.folder):
                return clickhouse_connect.get_client(dsn=self.dsn, chdb_options=self.options, settings=settings)
        with translated():
            return clickhouse_connect.get_client(
                dsn=self.dsn,
                secure=self.dsn.startswith("clickhouses:"),
                database=self.database if with_database else "default",
                settings=settings,
                # Each client is used by one thread at a time and none needs temporary tables.
                autogenerate_session_id=False,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=int(timeout_s),
                query_retries=0,
                show_clickhouse_errors="scrub",
            )


def parse_dsn(dsn: str, memory_mb: int) -> Target:
    """Read a DSN; raise ``ConfigError`` for one that names no store we know."""
    parts = urlsplit(dsn)
    if parts.scheme == "chdb":
        if parts.netloc or not parts.path.startswith("/"):
            raise ConfigError("an embedded store needs an absolute folder", "use chdb:///var/lib/spanhouse/columnar")
        embedded.import_engine()
        return Target(dsn, True, folder=unquote(parts.path), options=embedded.engine_options(memory_mb))
    if parts.scheme in ("clickhouse", "clickhouses") and parts.hostname:
        database = unquote(parts.path.strip("/")) or "default"
        # The client takes the database by name so that it can be created before it is used.
        plain = parts._replace(path="").geturl()
        return Target(plain, False, database=database)
    raise ConfigError(
        "SPANHOUSE_STORE_DSN cannot be read", "use clickhouse://user:password@host:8123/database, or leave it empty"
    )
