"""The live tail over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from spanhouse_server.show import live as hub
from spanhouse_server.show.live import LiveHub
from spanhouse_server.show.routes import live as stream
from tests.stored import hex_id
from tests.unit.show.conftest import House
from tests.waiting import until


@pytest.fixture
def url(house: House) -> Iterator[str]:
    with serving(house) as address:
        yield address


@contextmanager
def serving(house: House) -> Iterator[str]:
    """Serve a house on a free port; give the address of its API."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
    server.should_exit = True
    thread.join(60)
    listener.close()
    assert not thread.is_alive()


def events(reply: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in reply.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
        elif line.startswith(": "):
            yield "comment", line


def publish(house: House, *names: str, project: str = "default") -> None:
    house.context.live.publish(project, [{"trace_id": hex_id(name)} for name in names])


def test_stored_traces_are_sent_once_per_gathering_and_only_of_the_project(house: House, url: str) -> None:
    with httpx.stream("GET", f"{url}/live", timeout=60) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in reply.headers
        read = events(reply)
        assert next(read)[0] == "comment"
        until(lambda: house.context.live.watchers == 1)
        publish(house, "secret", project="other")
        publish(house, "a", "b", "a", "unknown", "secret")
        name, data = next(read)
        assert name == "traces"
        assert [item["name"] for item in data["items"]] == ["b", "a"]
        assert data["missed"] == 0
    until(lambda: house.context.live.watchers == 0)


def test_the_filter_chooses_what_is_sent(house: House, url: str) -> None:
    with httpx.stream("GET", f"{url}/live?q=status:error", timeout=60) as reply:
        read = events(reply)
        next(read)
        until(lambda: house.context.live.watchers == 1)
        publish(house, "a", "b")
        assert [item["name"] for item in next(read)[1]["items"]] == ["b"]
    assert httpx.get(f"{url}/live?q=modle:x").status_code == 400


def test_a_quiet_stream_is_kept_alive(house: House, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    with httpx.stream("GET", f"{url}/live", timeout=60) as reply:
        read = events(reply)
        assert [next(read) for _ in range(3)][1:] == [("comment", ": alive")] * 2


def test_a_stream_ends_when_its_key_is_revoked(locked: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    key, secret = locked.records.create_key("default", "k")
    headers = {"authorization": f"Bearer {secret}"}
    with serving(locked) as url, httpx.stream("GET", f"{url}/live", headers=headers, timeout=60) as reply:
        read = events(reply)
        assert [next(read) for _ in range(2)][1:] == [("comment", ": alive")]
        locked.records.revoke_key("default", key.id)
        locked.context.access.forget()
        assert set(read) <= {("comment", ": alive")}  # and it has an end
        until(lambda: locked.context.live.watchers == 0)
        assert httpx.get(f"{url}/live", headers=headers).status_code == 401


def test_too_many_watchers_are_told_to_come_back(house: House, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MAX_WATCHERS", 0)
    reply = httpx.get(f"{url}/live")
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "30"


async def test_a_watcher_that_does_not_keep_up_loses_ids_not_memory() -> None:
    live = LiveHub()
    watcher = live.open("p")
    assert watcher is not None
    await asyncio.to_thread(live.publish, "p", [{"trace_id": str(n)} for n in range(hub.MAX_PENDING + 50)])
    await asyncio.wait_for(watcher.wake.wait(), 60)
    ids, missed = live.take(watcher)
    assert (len(ids), missed) == (hub.MAX_PENDING, 50)
    assert live.take(watcher) == ([], 0)
    live.close(watcher)
    live.close(watcher)
    assert live.watchers == 0
    live.publish("p", [{"trace_id": "x"}])


async def test_a_client_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_TIMEOUT_S", 0.05)
    closed = []

    async def endless() -> Any:
        while True:
            yield b"data: x\n\n"

    async def receive() -> Any:
        await asyncio.sleep(300)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(300)  # a full socket buffer

    reply = stream.EventStream(endless(), lambda: closed.append(True))
    await asyncio.wait_for(reply({"type": "http"}, receive, send), 30)
    assert closed == [True]
