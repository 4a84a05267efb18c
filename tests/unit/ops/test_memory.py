"""Freed memory is kept between batches and given back when told so, here and in the transform processes; so is code."""

from __future__ import annotations

import multiprocessing
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import wait
from pathlib import Path

import pytest

from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.spool.contract import SpoolEntry
from tests import otlp
from tests.waiting import until

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")

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


ENGINE = """
import os
from spanhouse_server.ops.memory import let_code_go
from spanhouse_server.store.columnar import open_columnar

def code():
    mapped, engine = 0, False
    for line in open("/proc/self/smaps"):
        if line.split()[0].count("-") == 1:
            engine = "_chdb" in line and " r-xp " in line
        elif engine and line.startswith("Rss:"):
            mapped += int(line.split()[1]) >> 10
    return mapped

store = open_columnar("chdb://" + os.environ["FOLDER"])
store.migrate()
before = code()
let_code_go()
gone = code()
answers = [store.select("SELECT sum(number) AS sum FROM numbers(1000)")[0]["sum"], len(store.select("SELECT * FROM spans"))]
print(before, gone, code(), *answers)
"""


def test_the_engines_code_is_let_go_and_runs_again(tmp_path: Path) -> None:
    environment = os.environ | {"FOLDER": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ENGINE], capture_output=True, text=True, check=True, timeout=60, env=environment
    )
    before, gone, again, *answers = map(int, done.stdout.split())
    assert before > 60
    assert gone < before / 2
    assert gone < again < before
    assert answers == [499_500, 0]


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
        until(lambda: resident_bytes(process.pid) <= worked - 10 * MIB)
    finally:
        workshop.close()
