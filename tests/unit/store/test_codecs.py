"""How parts of ``spans`` are compressed: by size in the embedded engine, as the table says on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.store.columnar import embedded, open_columnar
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.rows import lines, span_row
from tests.contract.clickhouse_http import ClickHouseHttp
from tests.stored import T0, columnar, span

CODECS = "SELECT default_compression_codec AS codec FROM system.parts WHERE active AND table = 'spans'"
DECLARED = "SELECT compression_codec AS codec FROM system.columns WHERE table = 'spans' AND name = 'attributes'"


def merged(store: Any) -> list[str]:
    """Insert two parts and return their codec before and after they are merged."""
    found = []
    for name in ("a", "b"):
        store.insert("spans", lines([span_row("p", T0, 0, span("trace", name))]))
    found += {row["codec"] for row in store.select(CODECS)}
    with store._inserts.client() as client:
        client.command("OPTIMIZE TABLE spans FINAL")
    return found + [row["codec"] for row in store.select(CODECS)]


def test_small_parts_are_written_fast(tmp_path: Path) -> None:
    with columnar(tmp_path / "columnar") as store:
        assert merged(store) == ["LZ4", "LZ4"]
        assert declared(store) == ""


def test_large_parts_are_written_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = embedded.CONFIG_FILE.read_text("utf-8")
    assert config.count("<min_part_size>536870912</min_part_size>") == 1
    low = tmp_path / "low.xml"
    low.write_text(config.replace("<min_part_size>536870912<", "<min_part_size>1000<"), "utf-8")
    monkeypatch.setattr(embedded, "CONFIG_FILE", low)
    with columnar(tmp_path / "columnar") as store:
        assert merged(store) == ["LZ4", "ZSTD(1)"]


def test_a_server_is_told_to_write_all_small(tmp_path: Path) -> None:
    server = ClickHouseHttp(tmp_path)
    server.start()
    try:
        store = open_columnar(server.dsn)
        store.migrate()
        assert declared(store) == "CODEC(ZSTD(1))"
        assert store.migrate() == []
        store.close()
    finally:
        server.stop()


def declared(store: ColumnarStore) -> str:
    return str(store.select(DECLARED)[0]["codec"])
