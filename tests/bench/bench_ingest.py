"""How fast spans come in, how soon they are seen, and what the server weighs meanwhile.

    python tests/bench/bench_ingest.py [--seconds 60] [--rate 2000] [--rate-seconds 20]

Runs the real server on a fresh folder. Each figure is printed on a line of its own beside its
target; the exit status says only whether everything worked: nothing refused for good, nothing lost.
"""

from __future__ import annotations

import argparse
import compileall
import os
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from bodies import bytes_per_span, templates  # noqa: E402
from load import Load, Report, wait_idle  # noqa: E402

from tests.server import Server  # noqa: E402

SOURCES = ROOT / "server" / "src"
#: How long a spool full of a minute's overload may take to drain before that is a malfunction.
DRAIN_TIMEOUT_S = 600
#: How long one acknowledged trace may take to be seen before that is a malfunction.
SEEN_TIMEOUT_S = 30

#: A server that was idle for two minutes is one process, and has given back what it can.
IDLE_S = 130


class Malfunction(Exception):
    """Something that no slow machine explains."""


def figure(name: str, value: float, unit: str, target: str = "") -> None:
    """Print one figure."""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"
    print(f"{name:<44} {shown:>12} {unit:<8} {target}".rstrip(), flush=True)


class Weight:
    """Samples the resident memory of the server and its helper processes (proportional shares)."""

    def __init__(self, pid: int) -> None:
        self._server = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mb = 0.0

    def now_mb(self) -> float:
        """Return the memory held now in MB: pages that processes share count once."""
        total = 0
        for process in [self._server, *self._server.children(recursive=True)]:
            try:
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.rss)
            except psutil.NoSuchProcess:
                continue
        return total / 1e6

    def rss_mb(self) -> float:
        """Return the resident memory of the server process alone in MB, shared pages in full."""
        return self._server.memory_info().rss / 1e6

    def __enter__(self) -> Weight:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self.peak_mb = max(self.peak_mb, self.now_mb())


class Sightings:
    """Asks for some of the acknowledged traces until they can be read."""

    def __init__(self, server: Server, every_s: float = 0.5) -> None:
        self._server = server
        self._every_s = every_s
        self._next_s = 0.0
        self._lock = threading.Lock()
        self._probes: list[threading.Thread] = []
        self.delays_s: list[float] = []
        self.lost: list[str] = []

    def acknowledged(self, trace_ids: list[str], acknowledged_s: float) -> None:
        """Begin to look for one of these traces, now and then."""
        with self._lock:
            if acknowledged_s < self._next_s:
                return
            self._next_s = acknowledged_s + self._every_s
        probe = threading.Thread(target=self._look, args=(trace_ids[-1], acknowledged_s), daemon=True)
        self._probes.append(probe)
        probe.start()

    def _look(self, trace_id: str, acknowledged_s: float) -> None:
        while time.perf_counter() - acknowledged_s < SEEN_TIMEOUT_S:
            try:
                with urllib.request.urlopen(f"{self._server.url}/api/v1/traces/{trace_id}", timeout=10) as answer:
                    answer.read()
                self.delays_s.append(time.perf_counter() - acknowledged_s)
                return
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    self.lost.append(f"{trace_id}: {error.code} {error.read()[:200]!r}")
                    return
                error.close()
            time.sleep(0.05)
        self.lost.append(f"{trace_id}: not seen within {SEEN_TIMEOUT_S} s")

    def wait(self) -> None:
        """Return when every probe is done; raise ``Malfunction`` for traces not seen."""
        for probe in self._probes:
            probe.join()
        if self.lost:
            raise Malfunction(f"{len(self.lost)} acknowledged traces cannot be read, the first: {self.lost[0]}")


def check(report: Report) -> None:
    """Raise ``Malfunction`` for anything but acknowledgements and 503s."""
    if report.failures:
        raise Malfunction(f"{len(report.failures)} requests failed, the first: {report.failures[0]}")
    if not report.spans:
        raise Malfunction("nothing was acknowledged")


def wait_stored(server: Server, acknowledged: int) -> None:
    """Wait until as many spans are stored as were acknowledged."""
    deadline_s = time.perf_counter() + DRAIN_TIMEOUT_S
    while True:
        ingest = server.call("/api/v1/ingest")
        if ingest["stored_spans"] >= acknowledged and ingest["spool"]["requests"] == 0:
            break
        if ingest["spool"]["requests"] == 0 and ingest["received_spans"] >= acknowledged:
            raise Malfunction(f"the spool is empty, but of {acknowledged} spans not all are stored: {ingest}")
        if time.perf_counter() > deadline_s:
            raise Malfunction(f"not stored within {DRAIN_TIMEOUT_S} s: {ingest}")
        time.sleep(0.05)
    if ingest["stored_spans"] != acknowledged or ingest["duplicate_spans"] or ingest["rejected"]:
        raise Malfunction(f"{acknowledged} spans were acknowledged once each, but: {ingest}")


def flat_out(server: Server, weight: Weight, options: argparse.Namespace, stored_before: int) -> int:
    """Send as fast as it goes; return the spans acknowledged."""
    begun_s = time.perf_counter()
    load = Load(server.url, options.bodies, seconds=options.seconds, connections=options.connections)
    report = load.run()
    check(report)
    wait_stored(server, stored_before + report.spans)
    elapsed_s = time.perf_counter() - begun_s
    figure("flat out: acknowledged", report.spans_per_s, "spans/s")
    figure("flat out: stored and queryable", report.spans / elapsed_s, "spans/s", "(at least 8,000; aim 20,000)")
    figure("flat out: stored after the last send", elapsed_s - report.elapsed_s, "s")
    figure("flat out: refused with 503", report.refused, "requests")
    figure("flat out: acknowledgement p99", report.ack_percentile_ms(99), "ms")
    figure("flat out: peak memory", weight.peak_mb, "MB")
    return report.spans


def at_rate(server: Server, options: argparse.Namespace, stored_before: int) -> int:
    """Send at a steady rate and look for what was sent; return the spans acknowledged."""
    sightings = Sightings(server)
    load = Load(
        server.url,
        options.bodies,
        seconds=options.rate_seconds,
        rate_spans_s=options.rate,
        connections=options.connections,
        acknowledged=sightings.acknowledged,
    )
    report = load.run()
    check(report)
    sightings.wait()
    wait_stored(server, stored_before + report.spans)
    delays_s = sorted(sightings.delays_s)
    name = f"at {options.rate:,.0f} spans/s"
    figure(f"{name}: acknowledged", report.spans_per_s, "spans/s")
    figure(f"{name}: acknowledgement p50", report.ack_percentile_ms(50), "ms")
    figure(f"{name}: acknowledgement p99", report.ack_percentile_ms(99), "ms", "(at most 150)")
    figure(f"{name}: visible after, median", delays_s[len(delays_s) // 2], "s")
    figure(f"{name}: visible after, longest", delays_s[-1], "s", "(at most 2)")
    return report.spans


def started(server: Server, name: str) -> None:
    """Start the server and print how long it took until it was ready."""
    begun_s = time.perf_counter()
    server.start()
    with urllib.request.urlopen(f"{server.url}/readyz", timeout=10) as answer:
        answer.read()
    figure(f"start to ready, {name}", time.perf_counter() - begun_s, "s", "(at most 3)")


def stop(server: Server) -> None:
    """Stop the server, by SIGTERM."""
    status = server.stop()
    if status != 0:
        raise Malfunction(f"the server did not stop cleanly: exit status {status}")


def run(options: argparse.Namespace, folder: Path) -> None:
    """Run every part."""
    # As an installer does: an environment that forbids writing byte code would have every start compile the server.
    compileall.compile_dir(SOURCES, quiet=1)
    paths = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    server = Server(folder, *options.flag, env={"PYTHONPATH": os.pathsep.join(paths)})
    try:
        started(server, "empty folder")
        assert server.process is not None
        with Weight(server.process.pid) as weight:
            time.sleep(3)
            figure("idle memory, empty folder", weight.now_mb(), "MB", "(at most 450)")
            figure("idle RSS of the server process", weight.rss_mb(), "MB")
            stored = flat_out(server, weight, options, 0)
            stored += at_rate(server, options, stored)
            wait_idle(server.process.pid)
            time.sleep(IDLE_S)
            figure("idle memory after all that", weight.now_mb(), "MB", "(at most 450)")
            figure("idle RSS of the server process", weight.rss_mb(), "MB")
        stop(server)
        started(server, f"{stored:,} spans")
        with Weight(server.process.pid) as weight:
            time.sleep(3)
            figure(f"memory just after a start, {stored:,} spans", weight.now_mb(), "MB")
            wait_idle(server.process.pid)
            figure(f"idle memory, {stored:,} spans", weight.now_mb(), "MB", "(at most 450)")
            figure("idle RSS of the server process", weight.rss_mb(), "MB")
        wait_stored(server, stored)
        stop(server)
    except BaseException:
        print("".join(server.output[-40:]), file=sys.stderr)
        raise
    finally:
        server.kill()


def main() -> int:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description="Measure ingest.")
    env = os.environ.get
    parser.add_argument("--seconds", type=float, default=float(env("SPANHOUSE_BENCH_SECONDS", "60")))
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--rate-seconds", type=float, default=float(env("SPANHOUSE_BENCH_RATE_SECONDS", "20")))
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--templates", type=int, default=48, help="how many different bodies")
    parser.add_argument(
        "--flag", action="append", default=[], help="flag of `spanhouse serve`, e.g. --flag=--fsync=off"
    )
    options = parser.parse_args()
    options.bodies = templates(options.templates)
    print(f"{bytes_per_span(options.bodies):.0f} bytes per span, {options.connections} connections")
    with tempfile.TemporaryDirectory(prefix="spanhouse-bench-") as folder:
        try:
            run(options, Path(folder) / "data")
        except Malfunction as error:
            print(f"malfunction: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
