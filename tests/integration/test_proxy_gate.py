"""TLS to the upstream, and who may use the proxy that is inside the server."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry

from spanhouse_collector.errors import Refused, Unauthenticated, Undeliverable
from spanhouse_server.config import Settings
from spanhouse_server.errors import ConfigError, SpoolFull, Unavailable
from spanhouse_server.errors import Unauthenticated as ServerUnauthenticated
from spanhouse_server.proxy_mount import FRESH_S, ProjectGate, ProxyMount
from tests.unit.collector.proxy.wire import ProxyProcess, Reader, ask

REQUEST = b"GET /secure/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"


def certificate(folder: Path, *names: str) -> Path:
    """Write a certificate for 127.0.0.1 and these names, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, names)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "upstream.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + encoded)
    return path


def serve_tls(path: Path) -> int:
    """Answer over TLS for as long as the test runs; return the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    Reader(secure).message()
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure")
                    time.sleep(0.2)
            except (OSError, EOFError):
                continue

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


@pytest.mark.parametrize("trusted", [True, False])
def test_the_upstreams_certificate_is_checked(tmp_path: Path, trusted: bool) -> None:
    path = certificate(tmp_path)
    port = serve_tls(path)
    env = {"SSL_CERT_FILE": str(path)} if trusted else {}
    proxy = ProxyProcess(
        tmp_path / "q", "http://127.0.0.1:9", "--upstream", f"secure=https://127.0.0.1:{port}", env=env
    )
    try:
        answer = ask(proxy.start().port, REQUEST)
    finally:
        proxy.kill()
    if trusted:
        assert answer.body == b"secure"
    else:
        assert answer.line.startswith(b"HTTP/1.1 502")
        assert b"certificate is not trusted" in answer.body


class SlowRecords:
    """A receiver whose records store can be slow, away, or know a key no more."""

    def __init__(self) -> None:
        self.asked = 0
        self.delay_s = 0.0
        self.error: Exception | None = None

    async def project_for(self, headers: Mapping[str, str]) -> str:
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        return "project-" + headers.get("x-spanhouse-key", "none")

    async def accept(self, *_: Any) -> None:
        assert self.error is not None
        raise self.error


async def test_keys_seen_before_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    records = SlowRecords()
    gate = ProjectGate(records, keys_required=True)  # type: ignore[arg-type]
    now_s = time.monotonic()
    monkeypatch.setattr("spanhouse_server.proxy_mount.time", SimpleNamespace(monotonic=lambda: now_s))
    own = {"auth": "Bearer k"}
    assert await gate.admit(own) == "project-k"
    assert (await gate.admit(own), records.asked) == ("project-k", 1)

    now_s += FRESH_S + 1
    records.delay_s = 5
    async with asyncio.timeout(1):  # it is asked again beside the call, once
        assert [await gate.admit(own) for _ in range(3)] == ["project-k"] * 3
    await asyncio.sleep(0)
    assert records.asked == 2
    for task in gate._asking.values():
        task.cancel()
    await asyncio.sleep(0)

    records.delay_s, records.error = 0, Unavailable("the records store is away")
    assert await gate.admit(own) == "project-k"
    await asyncio.sleep(0.01)
    assert await gate.admit(own) == "project-k"
    with pytest.raises(Refused, match="cannot be checked"):
        await gate.admit({"auth": "Bearer new"})

    await asyncio.sleep(0.01)
    records.error = ServerUnauthenticated("the key is unknown or revoked")
    await gate.admit(own)
    await asyncio.sleep(0.01)
    with pytest.raises(Unauthenticated):
        await gate.admit(own)


async def test_without_a_key_only_where_none_is_required() -> None:
    records = SlowRecords()
    assert await ProjectGate(records, keys_required=False).admit({}) == "default"  # type: ignore[arg-type]
    assert records.asked == 0
    records.error = ServerUnauthenticated("a key is required")
    with pytest.raises(Unauthenticated):
        await ProjectGate(records, keys_required=True).admit({})  # type: ignore[arg-type]


@pytest.mark.parametrize(("error", "retry"), [(SpoolFull("full"), True), (ServerUnauthenticated("no"), False)])
async def test_a_full_spool_is_tried_again(tmp_path: Path, error: Exception, retry: bool) -> None:
    records = SlowRecords()
    records.error = error
    mount = ProxyMount(Settings.load({"data_dir": tmp_path}, {}), records, CollectorRegistry())  # type: ignore[arg-type]
    with pytest.raises(Undeliverable) as failed:
        await mount._deliver("p", 1, b"")
    assert failed.value.retry is retry


def test_a_wrong_upstream_stops_the_start_with_a_reason(tmp_path: Path) -> None:
    settings = Settings.load({"data_dir": tmp_path, "proxy_upstreams": '{"openai": "nonsense"}'}, {})
    with pytest.raises(ConfigError, match="openai"):
        ProxyMount(settings, SlowRecords(), CollectorRegistry())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="name=url"):
        settings.add_upstreams(["nonsense"])
