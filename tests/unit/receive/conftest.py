"""A real receiving end for these tests: uvicorn and gRPC on free ports, a real spool and records."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from spanhouse_server.config import Settings
from spanhouse_server.receive import Receiver, http_routes, start_grpc
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store.access import Access
from tests.templates import new_records


@dataclass
class Reply:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def type(self) -> str:
        return self.headers["content-type"]


@dataclass
class ReceivingEnd:
    """What a test may talk to and look into."""

    http_port: int
    grpc_port: int
    spool: SqliteSpool
    records: Any
    receiver: Receiver
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def post(self, path: str, body: Any = b"", **headers: str) -> Reply:
        """Send one request; underscores in header names stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, body, {"content-type": "application/x-protobuf"} | names)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def entries(self) -> list[SpoolEntry]:
        """Return what waits in the spool."""
        return self.spool.claim(1000, 1 << 40)


@contextmanager
def serving(folder: Path, **values: Any) -> Iterator[ReceivingEnd]:
    """Serve in a thread of its own, as the app does."""
    settings = Settings.load({"data_dir": folder, "grpc_port": 0, **values}, env={})
    spool = SqliteSpool(
        folder / "spool.db",
        max_bytes=settings.spool_max_mb * 1024 * 1024,
        max_age_s=settings.spool_max_age_s,
        min_free_bytes=0,
        fsync=settings.fsync,
    )
    records = new_records(folder / "records.db")
    receiver = Receiver(spool, Access(settings, records), settings)
    started = threading.Event()
    found: dict[str, Any] = {}

    async def run() -> None:
        app = Starlette(routes=http_routes(receiver))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off"))
        grpc_server, grpc_port = await start_grpc(receiver, settings)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.005)
        http_port = server.servers[0].sockets[0].getsockname()[1]
        found.update(loop=asyncio.get_running_loop(), server=server, ports=(http_port, grpc_port))
        started.set()
        await task
        if grpc_server is not None:
            await grpc_server.stop(1)

    with asyncio.Runner(loop_factory=_new_loop) as runner:
        thread = threading.Thread(target=lambda: runner.run(run()))
        thread.start()
        assert started.wait(60)
        try:
            yield ReceivingEnd(*found["ports"], spool, records, receiver, found["loop"])
        finally:
            found["server"].should_exit = True
            thread.join(60)
            receiver.close()
            spool.close()
            records.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


@pytest.fixture(scope="module")
def shared_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceivingEnd]:
    """One receiving end for the tests of a module."""
    with serving(tmp_path_factory.mktemp("receive"), fsync="off") as end:
        yield end


@pytest.fixture
def end(shared_end: ReceivingEnd) -> ReceivingEnd:
    """The module's receiving end with an empty spool."""
    shared_end.spool.ack([entry.sequence for entry in shared_end.entries()])
    return shared_end


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ReceivingEnd]]:
    """Start receiving ends with settings of one's own."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(**values: Any) -> ReceivingEnd:
            folder = tmp_path / f"end{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(serving(folder, **values))

        yield start
