"""Faults of the engine and the network, each made to happen where it can be."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from spanhouse_server.errors import BadRequest, ConfigError, DiskFull, QueryTimeout, StoreError, StoreUnavailable
from spanhouse_server.store.columnar import open_columnar
from spanhouse_server.store.columnar.embedded import ALLOCATOR_VARIABLE
from spanhouse_server.store.columnar.faults import translate, translated
from spanhouse_server.store.columnar.pool import ClientPool
from spanhouse_server.store.rows import lines, span_row
from tests.contract.clickhouse_http import ClickHouseHttp
from tests.contract.samples import T0, make_span


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (243, "Cannot reserve 1 MiB, not enough space", DiskFull),
        (75, "Cannot write to file: , errno: 28, strerror: No space left on device", DiskFull),
        (252, "Too many parts", StoreUnavailable),
        (241, "(total) memory limit exceeded", StoreUnavailable),
        (210, "Connection refused", StoreUnavailable),
        (999, "Session expired", StoreUnavailable),
        (159, "Timeout exceeded", QueryTimeout),
        (396, "Limit for result exceeded", BadRequest),
        (457, "Value many cannot be parsed as UInt8", BadRequest),
        (62, "Syntax error", StoreError),
        (27, "Cannot parse input", StoreError),
        (None, "Something else", StoreError),
        (None, "HTTP driver received HTTP status 502", StoreUnavailable),
    ],
)
def test_codes(code: int | None, text: str, kind: type) -> None:
    assert type(translate(DatabaseError(f"Code: {code}. DB::Exception: {text}", code=code))) is kind


def test_other_faults() -> None:
    assert type(translate(OperationalError("Error executing HTTP request"))) is StoreUnavailable
    with pytest.raises(DiskFull), translated():
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseHttp]:
    server = ClickHouseHttp(tmp_path / "server", password="right")
    server.start()
    yield server
    server.stop()


def test_an_outage_is_unavailable_and_passes(server: ClickHouseHttp) -> None:
    store = open_columnar(server.dsn, query_timeout_s=5)
    store.migrate()
    rows = lines([span_row("p", T0, 0, make_span())])
    store.insert("spans", rows)
    server.stop()
    for call in (lambda: store.insert("spans", rows), lambda: store.select("SELECT 1"), store.migrate):
        with pytest.raises(StoreUnavailable):
            call()
    server.start()
    store.insert("spans", rows)
    assert store.select("SELECT count() AS n FROM spans FINAL") == [{"n": 1}]
    store.close()


def test_a_wrong_password_is_said_without_repeating_it(server: ClickHouseHttp) -> None:
    store = open_columnar(server.dsn.replace("right", "wr0ng"))
    with pytest.raises(StoreUnavailable) as caught:
        store.migrate()
    assert "password" in caught.value.message
    assert "wr0ng" not in f"{caught.value.message} {caught.value.hint}"
    store.close()


def test_a_folder_held_by_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; from spanhouse_server.store.columnar import open_columnar; "
        "s = open_columnar(sys.argv[1]); s.migrate(); s.select('SELECT 1'); print('ready', flush=True); sys.stdin.read()"
    )
    dsn = f"chdb://{tmp_path}/held"
    with subprocess.Popen([sys.executable, "-c", code, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        with pytest.raises(ConfigError, match=f"another process has .*{tmp_path}/held"):
            open_columnar(dsn).migrate()
        holder.kill()
    store = open_columnar(dsn)
    assert store.migrate() == []
    store.close()


def test_two_folders_in_one_process(tmp_path: Path) -> None:
    first = open_columnar(f"chdb://{tmp_path}/a")
    first.select("SELECT 1")
    with pytest.raises(ConfigError, match="already has another embedded store"):
        open_columnar(f"chdb://{tmp_path}/b").migrate()
    first.close()
    second = open_columnar(f"chdb://{tmp_path}/b")
    assert second.select("SELECT 1 AS x") == [{"x": 1}]
    second.close()


def test_the_engine_is_imported_lightly_and_bounded(tmp_path: Path) -> None:
    """Data-frame libraries stay out even where they are installed, and stay importable for others."""
    for name in ("pyarrow", "pandas"):
        (tmp_path / f"{name}.py").write_text("import sys; sys.exit('imported')")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from spanhouse_server.store.columnar import open_columnar
store = open_columnar("chdb://{tmp_path}/light", memory_mb=300)
store.migrate()
assert not {{"pyarrow", "pandas"}} & sys.modules.keys()
rows = store.select("SELECT name, toUInt64(value) AS v FROM system.server_settings WHERE name IN "
                    "('max_server_memory_usage', 'mark_cache_size', 'primary_index_cache_size')")
assert {{row["name"]: row["v"] for row in rows}}["max_server_memory_usage"] == 300 * 2**20
assert sum(row["v"] for row in rows) < 400 * 2**20
(row,) = store.select("SELECT value FROM system.merge_tree_settings WHERE name = 'concurrent_part_removal_threshold'")
assert int(row["value"]) > 1000, "dozens of threads start to remove merged parts, and stay"
(row,) = store.select("SELECT value FROM system.merge_tree_settings WHERE name = 'old_parts_lifetime'")
assert int(row["value"]) <= 60, "merged parts take memory and disk"
rss = int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) // 1024
assert rss < 350, rss
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("own", [None, "tcache_max:16384"])
def test_the_engines_allocator_keeps_little_unless_it_is_told_otherwise(tmp_path: Path, own: str | None) -> None:
    code = """
import os, sys
from spanhouse_server.store.columnar import open_columnar
before = dict(os.environ)
store = open_columnar(sys.argv[1])
store.migrate()
assert os.environ == before, "what it is told is not for programs started from here"
(row,) = store.select("SELECT * FROM system.jemalloc_stats")
print(*row.values())
"""
    told = {name: value for name, value in os.environ.items() if name != ALLOCATOR_VARIABLE}
    if own is not None:
        told[ALLOCATOR_VARIABLE] = own
    command = [sys.executable, "-c", code, f"chdb://{tmp_path}/store"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=told)
    assert done.returncode == 0, done.stderr
    assert f"opt.tcache_max: {4096 if own is None else 16384}\n" in done.stdout
    assert ("opt.prof: false" in done.stdout) is (own is None)


class Closable:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_the_pool_serves_in_turn_and_lends_each_client_once() -> None:
    made: list[Closable] = []

    def make() -> Closable:
        made.append(Closable())
        return made[-1]

    pool = ClientPool(make, 2, 60.0, discard_failed=True)
    lent: set[Closable] = set()
    served = [0] * 8
    stop = threading.Event()

    all_here = threading.Barrier(8)

    def work(at: int) -> None:
        all_here.wait(60)
        while not stop.is_set():
            with pool.client() as client:
                assert client not in lent
                lent.add(client)
                stop.wait(0.002)
                lent.remove(client)
                served[at] += 1

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    while max(served) < 50:
        time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(made) == 2
    assert min(served) > max(served) / 3
    with pytest.raises(ZeroDivisionError), pool.client() as client:
        raise ZeroDivisionError
    assert client.closed
    pool.close()
    assert all(client.closed for client in made)
    with pytest.raises(StoreUnavailable), pool.client():
        pass


def test_a_store_that_could_be_opened_before_is_not_wrongly_configured() -> None:
    """Files used up, say: what the engine then says of the folder is no fault of the settings."""
    fail = [True]

    def make() -> Closable:
        if fail[0]:
            raise ConfigError("the folder cannot be opened", "is it writable?")
        return Closable()

    pool = ClientPool(make, 2, 0.05, discard_failed=False)
    with pytest.raises(ConfigError), pool.client():
        pass
    fail[0] = False
    with pool.client():
        fail[0] = True
        with pytest.raises(StoreUnavailable, match="cannot be opened"), pool.client():
            pass
    pool.close()


def test_the_pool_gives_up_when_all_are_busy_and_survives_failing_to_connect() -> None:
    fail = [True]

    def make() -> Closable:
        if fail[0]:
            raise StoreUnavailable("refused")
        return Closable()

    pool = ClientPool(make, 1, 0.05, discard_failed=False)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="refused"), pool.client():
            pass
    fail[0] = False
    with pool.client(), pytest.raises(StoreUnavailable, match="busy"), pool.client():
        pass
    with pool.client():
        pass
    pool.close()
