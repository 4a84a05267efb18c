"""How fast the pages' reads are with many spans stored, quiet and while spans stream in.

    python tests/bench/bench_reads.py [--spans 1000000] [--repeat 30]

Fills a new store over OTLP, then asks the API what the page asks, over HTTP, and prints p50 and p95.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from bodies import templates  # noqa: E402
from load import Load, wait_idle  # noqa: E402

from tests import otlp  # noqa: E402
from tests.server import Server  # noqa: E402

FILTERS = {
    "newest": "",
    "model": "model:{model}",
    "user": "user:{user}",
    "session": "session:{session}",
    "errors": "status:error",
    "cost": "cost>0.001",
    "duration": "duration>2s",
    "tag or service": "service:{service}",
}


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def traces_of_fifty(server: Server, count: int = 20) -> list[str]:
    """Store some traces of 50 spans among the others; return their ids."""
    trace_ids = [os.urandom(16).hex() for _ in range(count)]
    said = "a longer answer of some words " * 20
    usage = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 900}
    for trace_id in trace_ids:
        root = os.urandom(8).hex()
        calls = [otlp.span(trace_id, parent_id=root, attributes=usage | {"output.value": said}) for _ in range(49)]
        body = otlp.request(otlp.span(trace_id, root, name="agent"), *calls)
        server.request("/v1/traces", body, {"content-type": "application/x-protobuf"})
    return trace_ids


def measure(name: str, target_ms: int, repeat: int, ask: Iterator[str], server: Server) -> None:
    """Ask ``repeat`` times, the first time uncounted, and print the percentiles."""
    took = []
    for number in range(repeat + 1):
        path = next(ask)
        begun = time.perf_counter()
        server.call(path)
        if number:
            took.append((time.perf_counter() - begun) * 1000)
    print(
        f"{name:<44} p50 {percentile(took, 50):7.1f} ms   p95 {percentile(took, 95):7.1f} ms   (at most {target_ms} ms)",
        flush=True,
    )


def reads(server: Server, repeat: int, note: str, large: list[str]) -> None:
    """Measure every kind of read once."""
    sample = server.call("/api/v1/traces?limit=50")["items"]
    detail = server.call(f"/api/v1/traces/{sample[0]['trace_id']}")
    values = {
        "model": next(item["models"][0] for item in sample if item["models"]),
        "user": next(item["user_id"] for item in sample if item["user_id"]),
        "session": next(item["session_id"] for item in sample if item["session_id"]),
        "service": detail["spans"][0].get("service_name", "bench"),
    }
    for name, template in FILTERS.items():
        query = quote(template.format(**values))
        measure(f"traces, first page, {name}{note}", 200, repeat, cycle([f"/api/v1/traces?limit=50&q={query}"]), server)
    trace_paths = cycle([f"/api/v1/traces/{item['trace_id']}" for item in sample])
    measure(f"open a trace of 10 spans{note}", 80, repeat, trace_paths, server)
    large_paths = cycle([f"/api/v1/traces/{trace_id}" for trace_id in large])
    measure(f"open a trace of 50 spans{note}", 80, repeat, large_paths, server)
    searches(server, sample, repeat, note)
    figures = cycle(["/api/v1/metrics?metric=cost_usd&group_by=model&from=-24h"])
    measure(f"cost by model, 24 h{note}", 600, repeat, figures, server)


def searches(server: Server, sample: list[dict[str, Any]], repeat: int, note: str) -> None:
    """Measure full-text search for words that occur in a sample of traces."""
    words = [word for item in sample for word in item["input_preview"].split() if word.isalpha()]
    texts = cycle(["/api/v1/traces?limit=50&q=" + quote(f'text~"{word}"') for word in words[:20]])
    measure(f"full-text search{note}", 600, repeat, texts, server)
    two = [f'text~"{first}" text~"{second}"' for first, second in pairwise(words)]
    pairs = cycle(["/api/v1/traces?limit=50&q=" + quote(query) for query in two])
    measure(f"full-text search, two words{note}", 600, repeat, pairs, server)


def main() -> int:
    """Fill, measure, measure again under load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--rate", type=int, default=2000, help="spans/s streaming in during the second measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanhouse-bench-") as folder:
        server = Server(Path(folder)).start()
        try:
            bodies = templates()
            begun = time.monotonic()
            while server.call("/api/v1/ingest")["received_spans"] < options.spans:
                Load(server.url, bodies, seconds=10).run()
            large = traces_of_fifty(server)
            stored = server.wait_stored(600)["stored_spans"]
            print(f"{stored} spans stored in {time.monotonic() - begun:.0f} s", flush=True)
            searches(server, server.call("/api/v1/traces?limit=50")["items"], options.repeat, ", just after the burst")
            wait_idle(server.process.pid)  # the merges of the burst
            reads(server, options.repeat, "", large)
            stream = Load(server.url, bodies, seconds=options.repeat * 6, rate_spans_s=options.rate)
            thread = threading.Thread(target=stream.run, daemon=True)
            thread.start()
            time.sleep(2)
            reads(server, options.repeat, f", {options.rate} spans/s coming in", large)
        finally:
            server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
