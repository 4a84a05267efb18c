"""A full disk: senders get 503, nothing is lost, and all goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import otlp
from tests.server import running
from tests.waiting import until

SIZE_MB = 160


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small enough to fill."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"a small file system is needed to fill: {mounted.stderr}")
        pytest.skip("mounting a small file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    return filler


@pytest.mark.parametrize("kept_free_mb", [8, 0])
def test_full_disk_refuses_and_recovers(small_disk: Path, kept_free_mb: int) -> None:
    protobuf = {"content-type": "application/x-protobuf"}
    acknowledged = set()
    with running(small_disk, "--min-free-disk-mb", str(kept_free_mb)) as server:

        def send() -> int:
            trace_id = os.urandom(16).hex()
            padding = os.urandom(20_000).hex()
            body = otlp.request(otlp.span(trace_id, attributes={"input": padding}))
            status, _ = server.request("/v1/traces", body, protobuf)
            if status == 200:
                acknowledged.add(trace_id)
            return status

        assert send() == 200
        filler = fill(small_disk)
        until(lambda: send() == 503)
        answers = {send() for _ in range(30)}
        assert answers <= {200, 503}
        assert 503 in answers
        assert server.request("/healthz")[0] == 200

        filler.unlink()
        until(lambda: send() == 200)
        assert {send() for _ in range(5)} == {200}
        server.wait_stored()
        for trace_id in acknowledged:
            assert server.call(f"/api/v1/traces/{trace_id}")["span_count"] == 1

    with running(small_disk) as server:
        server.wait_stored()
        assert len(server.call("/api/v1/traces?limit=200")["items"]) == len(acknowledged)
