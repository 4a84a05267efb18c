"""Sends OTLP over HTTP as exporters do, and measures how it is acknowledged.

    python tests/bench/load.py http://127.0.0.1:4318 --seconds 60 [--rate 2000] [--connections 4]

Prints one JSON object. A 503 is answered as an exporter would: wait, then send the same body again.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psutil
from bodies import Template, bytes_per_span, templates

#: Longer waits than this would only make the bench slower.
MAX_WAIT_S = 1.0
#: What an idle server takes of one core, at most, and how long it may take to come to rest.
IDLE_CPU_PERCENT = 10
IDLE_TIMEOUT_S = 600
Acknowledged = Callable[[list[str], float], None]


def wait_idle(pid: int) -> None:
    """Return when a server does nothing of its own any more (merging, say), or after ``IDLE_TIMEOUT_S``."""
    server, deadline_s = psutil.Process(pid), time.perf_counter() + IDLE_TIMEOUT_S
    while server.cpu_percent(interval=3) > IDLE_CPU_PERCENT and time.perf_counter() < deadline_s:
        pass


@dataclass(slots=True)
class Report:
    """What came of a load. Latencies are milliseconds per acknowledged request, in order."""

    spans: int = 0
    requests: int = 0
    sent_bytes: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0
    ack_ms: list[float] = field(default_factory=list)

    @property
    def spans_per_s(self) -> float:
        """Return acknowledged spans per second."""
        return self.spans / self.elapsed_s if self.elapsed_s else 0.0

    def ack_percentile_ms(self, percent: float) -> float:
        """Return a percentile of the acknowledgement latency."""
        if not self.ack_ms:
            return float("nan")
        ordered = sorted(self.ack_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def summary(self) -> dict[str, Any]:
        """Return the figures for printing."""
        return {
            "acknowledged_spans": self.spans,
            "acknowledged_spans_per_s": round(self.spans_per_s),
            "requests": self.requests,
            "sent_mb": round(self.sent_bytes / 1e6, 1),
            "refused_503": self.refused,
            "failures": len(self.failures),
            "first_failure": self.failures[0] if self.failures else "",
            "elapsed_s": round(self.elapsed_s, 2),
            "ack_p50_ms": round(self.ack_percentile_ms(50), 1),
            "ack_p99_ms": round(self.ack_percentile_ms(99), 1),
            "ack_max_ms": round(max(self.ack_ms, default=float("nan")), 1),
        }


class Load:
    """Some connections that send for some seconds, at a rate or flat out."""

    def __init__(
        self,
        url: str,
        bodies: Sequence[Template],
        *,
        seconds: float,
        rate_spans_s: float = 0,
        connections: int = 4,
        acknowledged: Acknowledged | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._host, self._port = urlsplit(url).hostname or "127.0.0.1", urlsplit(url).port or 80
        self._bodies = bodies
        self._seconds = seconds
        self._interval_s = bodies[0].span_count / rate_spans_s if rate_spans_s else 0.0
        self._connections = connections
        self._acknowledged = acknowledged
        self._headers = {"content-type": "application/x-protobuf"} | (headers or {})
        self._turns = itertools.count()
        self._lock = threading.Lock()
        self.report = Report()

    def run(self) -> Report:
        """Send, and return once every connection is done."""
        begun_s = time.perf_counter()
        threads = [threading.Thread(target=self._send_all, args=(begun_s,)) for _ in range(self._connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.report.elapsed_s = time.perf_counter() - begun_s
        return self.report

    def _send_all(self, begun_s: float) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        rng = random.Random()
        end_s = begun_s + self._seconds
        while True:
            turn = next(self._turns)
            due_s = begun_s + turn * self._interval_s if self._interval_s else time.perf_counter()
            if max(due_s, time.perf_counter()) >= end_s:
                break
            time.sleep(max(0.0, due_s - time.perf_counter()))
            template = rng.choice(self._bodies)
            body, trace_ids = template.fresh()
            # With a rate, lateness of the sender itself counts as waiting: that is what users feel.
            if not self._interval_s:
                due_s = time.perf_counter()
            if self._deliver(connection, body, end_s + 30):
                self._count(template, body, trace_ids, due_s)
        connection.close()

    def _deliver(self, connection: http.client.HTTPConnection, body: bytes, until_s: float) -> bool:
        """Send one body until it is acknowledged; tell whether it was."""
        while time.perf_counter() < until_s:
            try:
                connection.request("POST", "/v1/traces", body, self._headers)
                response = connection.getresponse()
                answer = response.read()
            except OSError as error:
                connection.close()
                self._fail(f"{type(error).__name__}: {error}")
                time.sleep(0.1)
                continue
            if response.status == 200:
                if answer:
                    self._fail(f"200 with {answer[:300]!r}")
                return True
            if response.status != 503:
                self._fail(f"{response.status} {answer[:300]!r}")
                return False
            with self._lock:
                self.report.refused += 1
            time.sleep(min(float(response.headers.get("retry-after", "1")), MAX_WAIT_S))
        return False

    def _count(self, template: Template, body: bytes, trace_ids: list[str], due_s: float) -> None:
        took_ms = (time.perf_counter() - due_s) * 1000
        with self._lock:
            self.report.spans += template.span_count
            self.report.requests += 1
            self.report.sent_bytes += len(body)
            self.report.ack_ms.append(took_ms)
        if self._acknowledged is not None:
            self._acknowledged(trace_ids, time.perf_counter())

    def _fail(self, text: str) -> None:
        with self._lock:
            self.report.failures.append(text)


def main() -> int:
    """Run a load from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("url", help="address of the server, e.g. http://127.0.0.1:4318")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=0, help="spans per second; 0: as fast as it goes")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--templates", type=int, default=48, help="how many different bodies")
    parser.add_argument("--key", default="", help="project key")
    options = parser.parse_args()
    bodies = templates(options.templates)
    print(f"{bytes_per_span(bodies):.0f} bytes per span", file=sys.stderr)
    headers = {"authorization": f"Bearer {options.key}"} if options.key else None
    load = Load(
        options.url,
        bodies,
        seconds=options.seconds,
        rate_spans_s=options.rate,
        connections=options.connections,
        headers=headers,
    )
    report = load.run()
    print(json.dumps(report.summary()))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
