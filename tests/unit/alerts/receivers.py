"""Real receivers of notifications on this machine: HTTP and SMTP."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Got:
    """A request that came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpReceiver:
    """Answers by ``answer``: (status, headers, body) for a request."""

    answer: Callable[[Got], tuple[int, Mapping[str, str], bytes]] = lambda _: (200, {}, b"ok")
    got: list[Got] = field(default_factory=list)
    url: str = ""

    @property
    def bodies(self) -> list[Any]:
        return [each.json for each in self.got]


@contextlib.contextmanager
def http_receiver(**more: Any) -> Iterator[HttpReceiver]:
    """Run a receiver for a block."""
    receiver = HttpReceiver(**more)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.got.append(got)
            status, headers, answer = receiver.answer(got)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Clients that break off are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """A small SMTP server: what it was told, line by line, and the mails it took."""

    replies: dict[str, str] = field(default_factory=dict)
    offers: Sequence[str] = ()
    lines: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    secured: bool = False
    port: int = 0


@contextlib.contextmanager
def mailbox(*, context: ssl.SSLContext | None = None, tls: bool = False, **more: Any) -> Iterator[Mailbox]:
    """Run an SMTP server; with ``context`` it offers STARTTLS, with ``tls`` it speaks TLS from the start."""
    box = Mailbox(**more)
    listener = socket.create_server(("127.0.0.1", 0))
    box.port = listener.getsockname()[1]

    def converse(connection: socket.socket) -> None:
        if tls and context:
            connection = context.wrap_socket(connection, server_side=True)
            box.secured = True
        file = connection.makefile("rwb")

        def say(text: str) -> None:
            file.write(text.encode() + b"\r\n")
            file.flush()

        say(box.replies.get("hello", "220 ready"))
        while line := file.readline().decode().rstrip("\r\n"):
            box.lines.append(line)
            word = line.split(" ")[0].split(":")[0].upper()
            if word == "QUIT":
                say("221 bye")
                break
            if word in box.replies:
                say(box.replies[word])
            elif word == "EHLO":
                offers = [*(["STARTTLS"] if context and not box.secured else []), *box.offers]
                for offer in ["box", *offers][:-1] if offers else []:
                    say(f"250-{offer}")
                say(f"250 {offers[-1] if offers else 'box'}")
            elif word == "STARTTLS" and context:
                say("220 go")
                connection = context.wrap_socket(connection, server_side=True)
                file = connection.makefile("rwb")
                box.secured = True
            elif word == "AUTH":
                say("235 welcome")
            elif word == "DATA":
                say("354 go on")
                text = []
                while (part := file.readline().decode()) != ".\r\n":
                    text.append(part)
                box.mails.append("".join(text))
                say("250 taken")
            else:
                say("250 fine")
        connection.close()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with contextlib.suppress(OSError, ssl.SSLError):
                    converse(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield box
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
