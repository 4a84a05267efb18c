"""Kill -9 at random moments under load: nothing acknowledged is lost, nothing shows twice."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import otlp
from tests.server import Server

ROUNDS = int(os.environ.get("SPANHOUSE_TEST_KILL_ROUNDS", "50"))
SENDERS = 3
TOKENS_PER_SPAN = 7


class Sender(threading.Thread):
    """Sends bodies until the server dies; remembers the spans that were acknowledged.

    Traces go on over many bodies, and every fifth body is sent again, as clients do whose
    acknowledgement got lost.
    """

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.address = urlsplit(url).netloc
        self.random = random.Random(seed)
        self.acknowledged: list[tuple[str, str]] = []
        self.refused = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        trace_ids = [self.random.randbytes(16).hex() for _ in range(5)]
        body, ids = b"", []
        try:
            while not self.stopped.is_set():
                if not ids or self.random.random() > 0.2:
                    body, ids = self.body(trace_ids)
                connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.acknowledged += ids
                else:
                    self.refused += 1
        except (OSError, http.client.HTTPException):
            return

    def body(self, trace_ids: list[str]) -> tuple[bytes, list[tuple[str, str]]]:
        ids = [(self.random.choice(trace_ids), self.random.randbytes(8).hex()) for _ in range(20)]
        usage = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.provider.name": "openai",
            "gen_ai.usage.input_tokens": TOKENS_PER_SPAN,
            "gen_ai.usage.output_tokens": 1,
            "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hello there"}]}]',
        }
        return otlp.request(*(otlp.span(trace, span, name="chat", attributes=usage) for trace, span in ids)), ids


def all_spans(server: Server) -> list[tuple[str, str]]:
    found, cursor = [], ""
    while True:
        page = server.call(f"/api/v1/spans?limit=200&cursor={cursor}")
        found += [(item["trace_id"], item["span_id"]) for item in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            return found


@pytest.mark.timeout(900)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged: set[tuple[str, str]] = set()
    server = Server(tmp_path, "--no-require-keys")
    for _ in range(ROUNDS):
        server.start()
        senders = [Sender(server.url, chance.randrange(2**32)) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        time.sleep(chance.uniform(0.05, 0.8))
        server.kill()
        for sender in senders:
            sender.stopped.set()
            sender.join(60)
            assert not sender.refused
            acknowledged |= set(sender.acknowledged)
        server = Server(tmp_path)

    try:
        server.start()
        ingest = server.wait_stored(120)
        stored = all_spans(server)
        assert len(stored) == len(set(stored)), "a span is listed twice"
        assert acknowledged <= set(stored), f"{len(acknowledged - set(stored))} acknowledged spans are lost"

        count = len(stored)
        assert ingest["stored_spans"] == count
        totals = {
            metric: server.call(f"/api/v1/metrics?metric={metric}&from=-1d")["series"][0]["total"]
            for metric in ("spans", "input_tokens")
        }
        assert totals == {"spans": count, "input_tokens": count * TOKENS_PER_SPAN}
        per_trace: dict[str, int] = {}
        for trace, _ in stored:
            per_trace[trace] = per_trace.get(trace, 0) + 1
        listed, cursor = {}, ""
        while True:
            page = server.call(f"/api/v1/traces?limit=200&cursor={cursor}")
            for item in page["items"]:
                assert item["trace_id"] not in listed, "a trace is listed twice"
                listed[item["trace_id"]] = item["span_count"]
            cursor = page["next_cursor"]
            if not cursor:
                break
        assert listed == per_trace
    finally:
        server.kill()
