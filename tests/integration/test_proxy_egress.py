"""Upstreams behind another proxy: tunnels, TLS through them, and what still goes directly."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

from tests.integration.test_proxy_gate import certificate, serve_tls
from tests.unit.collector.proxy.wire import Message, ProxyProcess, RawUpstream, Reader, ask

NAME = "upstream.example"


class ConnectProxy:
    """Tunnels to local ports, whatever name it is asked for; the port asked for says which."""

    def __init__(self, ports: dict[int, int], status: bytes = b"200 Fine") -> None:
        self.asked: list[Message] = []
        self._ports = ports
        self._status = status
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            head = Reader(client).head()
            self.asked.append(head)
            client.sendall(b"HTTP/1.1 " + self._status + b"\r\nvia: test\r\n\r\n")
            if not self._status.startswith(b"200"):
                return
            port = int(head.line.split()[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", self._ports[port])) as upstream:
                back = threading.Thread(target=_pipe, args=(upstream, client), daemon=True)
                back.start()
                _pipe(client, upstream)
                back.join(5)

    def close(self) -> None:
        self._listener.close()


def _pipe(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def get(port: int, name: str) -> Message:
    return ask(port, f"GET /{name}/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def test_calls_go_through_the_outgoing_proxy(tmp_path: Path) -> None:
    trusted = certificate(tmp_path, NAME)
    plain, near = RawUpstream(), RawUpstream()
    between = ConnectProxy({80: plain.port, 443: serve_tls(trusted)})
    flags = [
        *["--upstream", f"plain=http://{NAME}"],
        *["--upstream", f"secure=https://{NAME}"],
        *["--upstream", f"near=http://127.0.0.1:{near.port}"],
        *["--upstream", "excepted=http://other.invalid"],
        *["--egress", f"http://user:pa%20ss@127.0.0.1:{between.port}"],
    ]
    env = {"SSL_CERT_FILE": str(trusted), "NO_PROXY": "other.invalid"}
    proxy = ProxyProcess(tmp_path / "q", "http://127.0.0.1:9", *flags, env=env)
    try:
        port = proxy.start().port
        assert get(port, "plain").body == b"{}"
        assert get(port, "secure").body == b"secure"
        assert [head.line for head in between.asked] == [
            f"CONNECT {NAME}:80 HTTP/1.1".encode(),
            f"CONNECT {NAME}:443 HTTP/1.1".encode(),
        ]
        assert between.asked[0].header(b"proxy-authorization") == b"Basic dXNlcjpwYSBzcw=="
        assert plain.requests[0].header(b"host") == NAME.encode()
        assert get(port, "near").body == b"{}"
        assert b"cannot be resolved" in get(port, "excepted").body
        assert len(between.asked) == 2
        assert "pa ss" not in "".join(proxy.output)
    finally:
        proxy.kill()
        between.close()


def test_a_proxy_that_refuses_is_told(tmp_path: Path) -> None:
    between = ConnectProxy({}, b"403 Forbidden")
    env = {"HTTPS_PROXY": f"http://127.0.0.1:{between.port}"}
    flags = ("--upstream", f"secure=https://{NAME}", "--egress", "environment")
    proxy = ProxyProcess(tmp_path / "q", "http://127.0.0.1:9", *flags, env=env)
    try:
        answer = get(proxy.start().port, "secure")
        assert answer.line.startswith(b"HTTP/1.1 502")
        assert b"answered 403 when asked for upstream.example:443" in answer.body
    finally:
        proxy.kill()
        between.close()
