"""A relay that is killed by itself takes no call with it that its client saw whole, whatever the moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.unit.collector.proxy.wire import CLOSE, RawUpstream, ask, connected, standing
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
ANSWER = b'{"id":"c","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'
EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    made = RawUpstream()
    base = b"/v1/chat/completions"
    made.script = {
        base + b"/plain": [SIZED + ANSWER],
        base + b"/pieces": [SIZED + ANSWER[:20], 0.003, ANSWER[20:]],
        base + b"/stream": [CHUNKED, CHUNK, 0.003, CHUNK, b"0\r\n\r\n"],
        base + b"/trailers": [CHUNKED, CHUNK, b"0\r\nX-Sum: 1\r\n\r\n"],
        base + b"/close": [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", ANSWER, CLOSE],
        base + b"/nothing": [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
        base + b"/no-content": [b"HTTP/1.1 204 No Content\r\n\r\n"],
        base + b"/head": [b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"],
    }
    yield made
    made.close()


@pytest.mark.parametrize(("mode", "rounds"), [("seen", 120), ("write", 0), ("full", 10)])
def test_what_a_client_saw_whole_outlives_the_relay(upstream: RawUpstream, mode: str, rounds: int) -> None:
    command = [sys.executable, "-m", "tests.integration.proxy_deaths", str(upstream.port), mode, str(rounds)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "collector/src")])
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert told["rounds"] >= max(rounds, 10)
    assert told["faults"] == []


LARGE = ANSWER[:-1] + b',"note":"%s"}' % (b"word " * 100_000)
BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
CALL = b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


def test_a_recorder_that_hangs_holds_up_nobody_and_reads_on_when_the_relay_is_gone(tmp_path: Path) -> None:
    with standing(tmp_path) as (proxy, upstream, sink):
        upstream.default = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE]
        relay = psutil.Process(proxy.process.pid)
        until(relay.children)
        [recorder] = relay.children()
        recorder.suspend()
        before = relay.memory_info().rss
        with connected(proxy.port) as reader:
            for _ in range(160):  # 80 MB, of which 64 MiB may wait
                reader.connection.sendall(CALL)
                assert reader.message().body == LARGE
        assert relay.memory_info().rss - before < 32 * 1024 * 1024
        page = ask(proxy.port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body
        dropped = int(page.partition(b'dropped_total{reason="recorder_behind"} ')[2].split(b".")[0])
        assert 0 < dropped < 80
        relay.kill()
        recorder.resume()
        spans = sink.wait(160 - dropped)
        assert [span.get("error.type", "") for span in spans] == [""] * (160 - dropped)
        assert {span["gen_ai.usage.input_tokens"] for span in spans} == {5}
