"""Full is an answer: bytes, age and disk are bounded, nothing is lost, and it passes."""

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spanhouse_server.errors import DiskFull, SpoolFull, Unavailable
from spanhouse_server.spool import SqliteSpool
from tests.unit.spool.conftest import MIB, append, claim_all

Open = Callable[..., SqliteSpool]


def noise(size_bytes: int) -> bytes:
    """Return bytes that do not compress."""
    return random.randbytes(size_bytes)


def try_append(spool: SqliteSpool, bodies: list[bytes]) -> tuple[dict[int, bytes], list[Unavailable]]:
    """Append bodies at the same time; return those accepted and the refusals."""

    async def all_at_once() -> list[int | BaseException]:
        calls = (spool.append("default", "traces", body, records=1) for body in bodies)
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = list(zip(asyncio.run(all_at_once()), bodies, strict=True))
    refusals = [outcome for outcome, _ in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(refusal, Unavailable) for refusal in refusals), refusals
    return {outcome: body for outcome, body in outcomes if isinstance(outcome, int)}, refusals  # type: ignore[return-value]


def test_bytes_are_bounded_as_they_lie_on_the_disk(open_spool: Open) -> None:
    spool = open_spool(max_bytes=MIB)
    accepted, refusals = try_append(spool, [noise(100_000) for _ in range(30)])
    assert len(accepted) == 10
    assert {type(refusal) for refusal in refusals} == {SpoolFull}
    assert refusals[0].retry_after_s > 0
    assert spool.stats().bytes <= MIB
    with pytest.raises(SpoolFull, match="bytes wait to be stored"):
        append(spool, noise(100_000))
    spool.ack(sorted(accepted)[:5])
    assert len(try_append(spool, [noise(100_000) for _ in range(30)])[0]) == 5
    # Text shrinks, so more of it fits than its size before compression says.
    spool.ack(list(claim_all(spool)))
    assert len(append(spool, *[b"text " * 100_000] * 10)) == 10


def test_refused_requests_are_not_counted(open_spool: Open) -> None:
    spool = open_spool(max_bytes=MIB)
    try_append(spool, [noise(400_000) for _ in range(6)])
    assert spool.stats().received_spans == spool.stats().requests == 2


def test_a_body_larger_than_the_bound_passes_alone(open_spool: Open) -> None:
    spool = open_spool(max_bytes=1000)
    assert append(spool, noise(5000)) == [1]
    with pytest.raises(SpoolFull):
        append(spool, b"x")
    spool.ack([1])
    assert append(spool, noise(5000)) == [2]


@pytest.fixture
def pass_s(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass on the wall clock."""
    real, passed_ns = time.time_ns, 0

    def pass_s(seconds: float) -> None:
        nonlocal passed_ns
        passed_ns += int(seconds * 1e9)

    monkeypatch.setattr(time, "time_ns", lambda: real() + passed_ns)
    return pass_s


def test_age_is_bounded(open_spool: Open, pass_s: Callable[[float], None]) -> None:
    spool = open_spool(max_age_s=3600)
    append(spool, b"old")
    append(spool, b"young enough")
    pass_s(3601)
    with pytest.raises(SpoolFull, match="oldest request has waited"):
        append(spool, b"x")
    assert spool.stats().oldest_age_s > 3600
    spool.ack([1, 2])
    assert spool.stats().oldest_age_s == 0
    append(spool, b"x")


def test_a_replayed_entry_is_as_young_as_its_replay(open_spool: Open, pass_s: Callable[[float], None]) -> None:
    spool = open_spool(max_age_s=3600)
    append(spool, b"poison")
    spool.set_aside(spool.claim(1, 1)[0], "bad")
    pass_s(3601)
    assert spool.replay() == 1
    append(spool, b"welcome")


def test_free_space_is_kept(open_spool: Open, tmp_path: Path) -> None:
    spool = open_spool(min_free_bytes=2**62)
    with pytest.raises(DiskFull, match="are free on the server's data disk") as caught:
        append(spool, b"x")
    assert caught.value.retry_after_s > 0
    assert spool.stats().requests == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 6 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system; test_a_full_database runs everywhere")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_nothing_and_passes(open_spool: Open, small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool.db")
    ballast = small_disk / "ballast"
    kept, refusals = try_append(spool, [noise(20_000) for _ in range(40)])
    assert not refusals
    with ballast.open("wb") as file:
        file.write(bytes(3 * MIB))

    for _ in range(20):
        accepted, refusals = try_append(spool, [noise(50_000) for _ in range(8)])
        kept |= accepted
        if refusals:
            break
    assert {type(refusal) for refusal in refusals} == {DiskFull}
    assert "disk is full" in refusals[0].message
    assert claim_all(spool) == kept
    assert spool.stats().requests == spool.stats().received_spans == len(kept)

    ballast.unlink()
    accepted, refusals = try_append(spool, [noise(20_000) for _ in range(20)])
    assert not refusals
    kept |= accepted
    spool.close()
    assert claim_all(open_spool(small_disk / "spool.db")) == kept


def test_acknowledging_works_on_a_full_disk_or_says_so(open_spool: Open, small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool.db")
    kept, _ = try_append(spool, [noise(50_000) for _ in range(30)])
    with (small_disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    assert os.statvfs(small_disk).f_bavail == 0
    try_append(spool, [noise(3 * MIB)])
    first = min(kept)
    try:
        spool.ack([first])
        kept.pop(first)
    except DiskFull:
        assert spool.stats().requests == len(kept)
    assert claim_all(spool) == kept
    (small_disk / "ballast").unlink()
    spool.ack(list(kept))
    assert spool.stats().requests == 0


def test_a_full_database(spool: SqliteSpool) -> None:
    """SQLite's own limit gives the very error of a full disk, without one."""
    kept = dict(zip(append(spool, b"1", b"2"), [b"1", b"2"], strict=True))
    pages = spool._writer.call(lambda db, _: db._connection.execute("PRAGMA page_count").fetchone()[0], writes=False)
    spool._writer.call(lambda db, _: db._connection.execute(f"PRAGMA max_page_count={pages + 10}"), writes=False)

    async def mixed() -> list[object]:
        big = spool.append("default", "traces", noise(MIB), records=1)
        return await asyncio.gather(big, asyncio.to_thread(spool.ack, [1]), return_exceptions=True)

    outcome, acknowledged = asyncio.run(mixed())
    assert isinstance(outcome, DiskFull)
    assert acknowledged is None
    kept.pop(1)
    assert claim_all(spool) == kept
    spool._writer.call(lambda db, _: db._connection.execute("PRAGMA max_page_count=1000000"), writes=False)
    assert append(spool, noise(MIB))
    assert spool.stats().requests == 2


def test_the_file_shrinks_after_a_burst(open_spool: Open, path: Path) -> None:
    spool = open_spool(max_bytes=256 * MIB, fsync="off")
    sequences = append(spool, *[noise(MIB) for _ in range(80)])
    spool.ack(sequences)
    deadline_s = time.monotonic() + 30
    while path.stat().st_size > 40 * MIB and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert path.stat().st_size <= 40 * MIB
    assert append(spool, b"still working")
