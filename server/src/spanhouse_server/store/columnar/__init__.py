"""The columnar store on ClickHouse, embedded (chDB) or served."""

from spanhouse_server.store.columnar.store import ClickHouseStore, open_columnar

__all__ = ["ClickHouseStore", "open_columnar"]
