"""The two columnar backends and the two records backends, as fixtures."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from spanhouse_server.store.columnar import open_columnar
from spanhouse_server.store.contract import ColumnarStore
from tests.contract.clickhouse_http import ClickHouseHttp

OpenColumnar = Callable[..., ColumnarStore]


@pytest.fixture(scope="module", params=["embedded", "http"])
def open_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenColumnar]:
    """Open the same store again and again: in this process, or over HTTP in another."""
    folder = tmp_path_factory.mktemp("columnar")
    if request.param == "embedded":
        yield partial(open_columnar, f"chdb://{folder}", memory_mb=1024, query_timeout_s=10)
        return
    server = ClickHouseHttp(folder)
    server.start()
    yield partial(open_columnar, server.dsn, memory_mb=1024, query_timeout_s=10)
    server.stop()


@pytest.fixture(scope="module")
def columnar(open_store: OpenColumnar) -> Iterator[ColumnarStore]:
    """Give a migrated store."""
    store = open_store()
    store.migrate()
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Run a real Postgres for the session.

    Not in pytest's own folder: that is closed to the user ``postgres``.
    """
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))
    initdb = str(programs / "initdb") if programs else shutil.which("initdb")
    if not initdb:
        pytest.fail("these tests need PostgreSQL: apt-get install postgresql")
    pg_ctl = str(Path(initdb).with_name("pg_ctl"))
    folder = Path(tempfile.mkdtemp(prefix="spanhouse-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        # Postgres refuses to run as root.
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")
    data, log = folder / "data", folder / "log"
    port = _free_port()

    def run(*command: str) -> None:
        done = subprocess.run([*as_user, *command], cwd=folder, capture_output=True, text=True, timeout=60)
        if done.returncode:
            pytest.fail(f"{command[0]} failed: {done.stdout}{done.stderr}{log.read_text() if log.exists() else ''}")

    run(initdb, "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    # Its output must go to a file: a pipe held open by the server would never end.
    with (folder / "start").open("w") as out:
        subprocess.run(
            [*as_user, pg_ctl, "-D", str(data), "-l", str(log), "-o", options, "-w", "start"],
            cwd=folder, stdout=out, stderr=out, check=True, timeout=60,
        )  # fmt: skip
    yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    run(pg_ctl, "-D", str(data), "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
