"""The records store on SQLite or Postgres."""

from spanhouse_server.store.records.store import open_records

__all__ = ["open_records"]
