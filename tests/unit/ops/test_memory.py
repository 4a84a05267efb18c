"""Freed memory is kept between batches and given back when told so, in this process and in the transform processes."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import wait
from pathlib import Path

import pytest

from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.spool.contract import SpoolEntry
from tests import otlp

pytestmark = pytest.mark.skipif("glibc" not in os.confstr("CS_GNU_LIBC_VERSION"), reason="another C library")

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20

FREED = """
import os
from spanhouse_server.ops.memory import give_memory_back, keep_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

keep_memory()
blocks = [bytes(50_000) for _ in range(2_000)]
# What was allocated last holds the end of the heap, as it does in a server with many threads.
last, full = blocks[-1], resident()
del blocks
kept = resident()
give_memory_back()
print(full, kept, resident())
"""


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def test_freed_memory_is_kept_and_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True, timeout=60)
    full, kept, given_back = map(int, done.stdout.split())
    assert full > 95
    assert kept > full - 5
    assert given_back < full - 80


def test_a_transform_process_gives_back_what_a_batch_took(tmp_path: Path) -> None:
    body = otlp.request(*(otlp.span(attributes={"note": "words " * 50}) for _ in range(20_000)))
    before = set(multiprocessing.active_children())
    workshop = Workshop(1, tmp_path / "handover")
    workshop.rest()  # nobody there to be told
    assert set(multiprocessing.active_children()) == before
    try:
        pending = workshop.submit([SpoolEntry(1, "default", "traces", time.time_ns(), body)], {}, 1)
        wait([pending], timeout=60)
        workshop.discard(pending)
        (process,) = set(multiprocessing.active_children()) - before
        assert process.pid is not None
        worked = resident_bytes(process.pid)
        workshop.rest()
        until_s = time.monotonic() + 30
        while resident_bytes(process.pid) > worked - 10 * MIB and time.monotonic() < until_s:
            time.sleep(0.05)
        assert resident_bytes(process.pid) <= worked - 10 * MIB
    finally:
        workshop.close()
