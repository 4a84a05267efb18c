"""kill -9 under load: what was acknowledged is there afterwards, unchanged."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from spanhouse_server.spool import SqliteSpool
from tests.unit.spool.conftest import claim_all

ROUNDS = 4


@pytest.mark.parametrize("fsync", ["always", "off"])
def test_nothing_acknowledged_is_lost(path: Path, open_spool: Callable[..., SqliteSpool], fsync: str) -> None:
    kept: dict[int, str] = {}
    may_be_gone: set[int] = set()
    must_be_gone: set[int] = set()
    for _ in range(ROUNDS):
        for word, numbers, digest in _run_and_kill(path, fsync):
            if word == "kept":
                assert numbers[0] not in kept, "a sequence was given twice"
                kept[numbers[0]] = digest
            elif word == "acking":
                may_be_gone.update(numbers)
            else:
                must_be_gone.update(numbers)
    spool = open_spool()
    found = claim_all(spool)
    missing = kept.keys() - found.keys() - may_be_gone
    assert not missing
    assert not must_be_gone & found.keys()
    changed = [n for n, body in found.items() if n in kept and sha256(body).hexdigest() != kept[n]]
    assert not changed
    assert len(kept) > 100
    assert must_be_gone
    stats = spool.stats()
    assert stats.requests == len(found)
    # Counters are part of the same commits: they say what the queue says.
    assert stats.received_spans - stats.stored_spans == len(found)


def _run_and_kill(path: Path, fsync: str) -> list[tuple[str, list[int], str]]:
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("appender.py"), path, fsync],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    ) as child:
        assert child.stdout
        lines = [child.stdout.readline()]  # it has begun
        time.sleep(random.uniform(0.05, 0.5))
        child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    events = []
    for line in lines:
        if not line.endswith(b"\n"):
            continue
        word, *rest = line.decode().split()
        digest = rest.pop() if word == "kept" else ""
        events.append((word, [int(number) for number in rest], digest))
    return events
