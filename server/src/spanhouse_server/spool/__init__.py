"""The durable queue between acknowledging a request and storing it."""

from spanhouse_server.spool.contract import SetAside, Spool, SpoolEntry, SpoolStats
from spanhouse_server.spool.sqlite import SqliteSpool

__all__ = ["SetAside", "Spool", "SpoolEntry", "SpoolStats", "SqliteSpool"]
