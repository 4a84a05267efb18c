"""What a durable acknowledgement costs: the SQLite spool beside a plain append-only file.

    python tests/bench/bench_spool.py [--seconds 4]

Four appenders, bodies of 100 spans. The plain file has no queue, no counters and no acknowledging of
entries; it shows what the disk and zstd alone would allow.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import queue
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "server/src")]

import zstandard  # noqa: E402
from bodies import templates  # noqa: E402

from spanhouse_server.spool.sqlite import SqliteSpool  # noqa: E402

APPENDERS = 4
BODIES = [template.fresh()[0] for template in templates(16)]
Append = Callable[[bytes], Awaitable[object]]


def cpu_s() -> float:
    """Return the processor time of this process in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(name: str, append: Append, seconds: float, commits: Callable[[], int]) -> None:
    """Append flat out and print what came of it."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def appender(number: int) -> None:
        while time.perf_counter() < until:
            begun = time.perf_counter()
            await append(BODIES[number % len(BODIES)])
            took.append(time.perf_counter() - begun)
            number += 1

    async def all_appenders() -> None:
        await asyncio.gather(*(appender(number) for number in range(APPENDERS)))

    cpu_before, begun, commits_before = cpu_s(), time.perf_counter(), commits()
    asyncio.run(all_appenders())
    elapsed = time.perf_counter() - begun
    took.sort()
    print(
        f"{name:<34} {len(took) / elapsed:7.0f} bodies/s  {(cpu_s() - cpu_before) / len(took) * 1e3:5.2f} ms CPU/body  "
        f"{len(took) / max(1, commits() - commits_before):4.1f} bodies/commit  p99 {took[int(len(took) * 0.99)] * 1e3:6.1f} ms",
        flush=True,
    )


def sqlite(folder: Path, seconds: float, drain: bool) -> None:
    """Measure the spool, alone or with entries claimed and acknowledged beside."""
    spool = SqliteSpool(folder / "spool.db", max_bytes=8 << 30, max_age_s=600, min_free_bytes=0, fsync="always")
    stop = threading.Event()

    def drainer() -> None:
        while not stop.is_set():
            if spool.wait(0.1):
                spool.ack([entry.sequence for entry in spool.claim(16, 8 << 20)], stored_spans=1)

    thread = threading.Thread(target=drainer)
    if drain:
        thread.start()

    async def append(body: bytes) -> None:
        await spool.append("default", "traces", body, records=100)

    measure(f"SQLite{', draining' if drain else ''}", append, seconds, lambda: spool.commits)
    stop.set()
    if drain:
        thread.join()
    spool.close()


def plain(folder: Path, seconds: float) -> None:
    """Measure a file with group commit, each body compressed as the spool does."""
    handle = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    waiting: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
    compress = zstandard.ZstdCompressor(level=1).compress
    commits = 0

    def writer() -> None:
        nonlocal commits
        while True:
            batch = [waiting.get()]
            while not waiting.empty():
                batch.append(waiting.get())
            jobs = [job for job in batch if job is not None]
            os.write(handle, b"".join(compress(body) for body, _ in jobs))
            os.fdatasync(handle)
            commits += 1
            for _, done in jobs:
                done.get_loop().call_soon_threadsafe(done.set_result, None)
            if len(jobs) < len(batch):
                return

    thread = threading.Thread(target=writer)
    thread.start()

    async def append(body: bytes) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.put((body, done))
        await done

    measure("plain file, zstd, fdatasync", append, seconds, lambda: commits)
    waiting.put(None)
    thread.join()
    os.close(handle)


def main() -> int:
    """Measure each in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    print(f"bodies of {sum(map(len, BODIES)) / len(BODIES) / 1000:.0f} kB, {APPENDERS} appenders")
    for run in (
        lambda folder: sqlite(folder, options.seconds, drain=True),
        lambda folder: sqlite(folder, options.seconds, drain=False),
        lambda folder: plain(folder, options.seconds),
    ):
        folder = Path(tempfile.mkdtemp(prefix="spanhouse-bench-"))
        try:
            run(folder)
        finally:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
