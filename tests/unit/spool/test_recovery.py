"""Whatever the file looks like at start, the server starts, and what can be read is kept."""

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.errors import ConfigError
from spanhouse_server.spool import SqliteSpool
from tests.unit.spool.conftest import append, claim_all
from tests.unit.spool.test_bounds import noise

Open = Callable[..., SqliteSpool]

# Appends, then dies without closing, so that everything is still in the write-ahead log.
DIE_WITH_LOG = """
import os, sys
from pathlib import Path
from tests.unit.spool.conftest import append
from spanhouse_server.spool import SqliteSpool
spool = SqliteSpool(Path(sys.argv[1]), max_bytes=2**30, max_age_s=60, min_free_bytes=0, fsync="always")
for n in range(10):
    append(spool, b"body %d " % n * 1000)
os._exit(9)
"""


@pytest.fixture
def with_log(path: Path) -> Path:
    """A spool of ten entries whose process died; return its write-ahead log."""
    done = subprocess.run(
        [sys.executable, "-c", DIE_WITH_LOG, path], env={"PYTHONPATH": ":".join(sys.path)}, timeout=60
    )
    assert done.returncode == 9
    return path.with_name(path.name + "-wal")


def bodies(count: int) -> dict[int, bytes]:
    return {n + 1: b"body %d " % n * 1000 for n in range(count)}


def test_the_log_of_a_dead_process_is_taken_over(with_log: Path, open_spool: Open) -> None:
    assert claim_all(open_spool()) == bodies(10)


@pytest.mark.parametrize("junk", [b"", b"\x00" * 5000, bytes(range(256)) * 40], ids=["cut", "zeros", "garbage"])
@pytest.mark.parametrize("lost_bytes", [1, 3000, 20_000])
def test_a_torn_log_ends_at_the_last_whole_commit(
    with_log: Path, open_spool: Open, junk: bytes, lost_bytes: int
) -> None:
    torn = with_log.read_bytes()[:-lost_bytes] + junk
    with_log.write_bytes(torn)
    spool = open_spool()
    found = claim_all(spool)
    assert found == bodies(len(found))
    assert len(found) >= 10 - 1 - lost_bytes // 4000
    assert append(spool, b"next") == [len(found) + 1]
    assert not list(with_log.parent.glob("*.damaged*"))


def test_garbage_behind_a_whole_log_is_ignored(with_log: Path, open_spool: Open) -> None:
    with with_log.open("ab") as file:
        file.write(noise(9000))
    assert claim_all(open_spool()) == bodies(10)


@pytest.mark.parametrize(
    "content", [b"this is no database" * 1000, b"\x00" * 8192, b"SQLite format 3\x00" + b"\xff" * 9000]
)
def test_an_unreadable_file_is_kept_and_a_new_one_begun(
    path: Path, open_spool: Open, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        spool = open_spool()
    assert append(spool, b"x")
    (damaged,) = path.parent.glob("spool.db.damaged-*")
    assert damaged.read_bytes() == content
    assert "was damaged" in caplog.text
    assert str(damaged) in caplog.text


def test_an_empty_file_is_a_new_spool(path: Path, open_spool: Open) -> None:
    path.touch()
    assert append(open_spool(), b"x") == [1]


def damage(path: Path, share: float, size_bytes: int = 4096) -> None:
    """Overwrite a page somewhere in the file."""
    pages = path.stat().st_size // size_bytes
    with path.open("r+b") as file:
        file.seek(int(pages * share) * size_bytes)
        file.write(noise(size_bytes))


def test_what_can_still_be_read_is_saved(path: Path, open_spool: Open, caplog: pytest.LogCaptureFixture) -> None:
    spool = open_spool()
    sent = [noise(20_000) for _ in range(200)]
    kept = dict(zip(append(spool, *sent), sent, strict=True))
    spool.set_aside(spool.claim(1, 1)[0], "bad")
    spool.ack([2], stored_spans=3)
    spool.close()
    damage(path, 0.5)
    again = open_spool()
    found = claim_all(again)
    assert found.items() <= kept.items()
    assert len(found) >= 190
    assert [aside.reason for aside in again.list_set_aside()] == ["bad"]
    stats = again.stats()
    assert (stats.received_spans, stats.stored_spans, stats.requests) == (200, 3, len(found))
    assert append(again, b"next") == [201]
    assert "was damaged" in caplog.text


def test_damage_met_while_running_is_survived(open_spool: Open, caplog: pytest.LogCaptureFixture) -> None:
    spool = open_spool()
    sent = [noise(20_000) for _ in range(50)]
    kept = dict(zip(append(spool, *sent), sent, strict=True))
    break_page = "UPDATE entries SET body = zeroblob(20000) WHERE sequence = 7"
    spool._writer.call(lambda db, _: db._connection.execute(break_page))
    kept.pop(7)
    assert claim_all(spool) == kept
    (aside,) = spool.list_set_aside()
    assert (aside.sequence, aside.reason[:19]) == (7, "damaged on the disk")
    assert spool.stats().requests == 49


def test_a_broken_page_met_while_running_is_survived(
    path: Path, open_spool: Open, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool()
    sent = [noise(20_000) for _ in range(300)]
    kept = dict(zip(append(spool, *sent), sent, strict=True))

    def shrink_cache(db: Any, _: object) -> None:
        db.checkpoint()
        db._connection.execute("PRAGMA cache_size=1")

    spool._writer.call(shrink_cache, writes=False)
    # Every body's chain of pages is cut: SQLite reports corruption when it follows one.
    raw = bytearray(path.read_bytes())
    for page in range(400, 500):
        raw[page * 4096 : page * 4096 + 4096] = b"\xff" * 4096
    with path.open("r+b") as file:
        file.write(raw)
    found = claim_all(spool)
    assert found.items() <= kept.items()
    assert 250 <= len(found) < 300
    assert "was damaged" in caplog.text
    more = append(spool, b"goes on")
    assert claim_all(spool)[more[0]] == b"goes on"
    assert spool.stats().requests == len(found) + 1


@pytest.mark.parametrize(("fsync", "level"), [("always", 2), ("off", 1)])
def test_the_setting_decides_whether_commits_reach_the_disk(open_spool: Open, fsync: str, level: int) -> None:
    def ask(db: Any, _: object) -> int:
        found: int = db._connection.execute("PRAGMA synchronous").fetchone()[0]
        return found

    assert open_spool(fsync=fsync)._writer.call(ask, writes=False) == level  # 2 is FULL, 1 is NORMAL


def test_two_processes_cannot_share_a_spool(spool: SqliteSpool, open_spool: Open) -> None:
    append(spool, b"x")
    with pytest.raises(ConfigError, match="in use by another process"):
        open_spool()
    assert append(spool, b"y") == [2]


def test_a_newer_schema_is_left_alone(path: Path, open_spool: Open) -> None:
    open_spool().close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ConfigError, match="newer version"):
        open_spool()
    assert not list(path.parent.glob("*.damaged*"))
