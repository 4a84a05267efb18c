"""ClickHouse's HTTP interface, served from the embedded engine.

No ClickHouse server is at hand where these tests run, so this stands in for one: the real HTTP
client talks to the real engine, and only the socket between them is ours. Started as a process of
its own (one process holds one engine folder): ``python clickhouse_http.py FOLDER [PASSWORD]``
prints its port.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
import uuid
import zlib
from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

RESERVED = {
    "query", "database", "user", "password", "session_id", "session_timeout", "session_check", "query_id",
    "compress", "decompress", "wait_end_of_query", "buffer_size", "client_protocol_version", "quota_key", "role",
    "default_format", "enable_http_compression", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
INSERT = re.compile(rb"\s*INSERT\s+INTO\s.*?\sFORMAT\s+(\w+)\s*(?:\n|$)", re.IGNORECASE | re.DOTALL)
CODE = re.compile(r"Code: (\d+)\.")
STATUS = {"516": 403, "497": 403, "62": 400, "47": 404, "60": 404, "81": 404, "241": 500, "252": 500}


class Engine:
    """One engine; a connection per request, or per session where one is named."""

    def __init__(self, folder: str) -> None:
        import chdb

        self._connect = lambda: chdb.connect(folder)
        self._anchor = self._connect()
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def connection(self, session: str | None) -> Iterator[Any]:
        if session:
            with self._lock:
                yield self._sessions.setdefault(session, self._connect())
            return
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()


class Handler(BaseHTTPRequestHandler):
    """Answers ``/ping`` and queries as ClickHouse does."""

    protocol_version = "HTTP/1.1"
    engine: Engine
    password = ""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n", {})
            return
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._read_chunks()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _read_chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        arguments = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            self._check_password()
            body = decompressed(body, self.headers.get("Content-Encoding", ""))
            if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
                arguments |= form_fields(self.headers["Content-Type"], body)
                body = b""
            data, format_name = self._run(arguments, body)
        except Exception as error:
            text = str(error)
            text = text[text.find("Code: ") :] if "Code: " in text else f"Code: 1002. DB::Exception: {text}"
            code = match[1] if (match := CODE.search(text)) else "1002"
            self._send(STATUS.get(code, 500), text.encode() + b"\n", {"X-ClickHouse-Exception-Code": code})
            return
        headers = {"X-ClickHouse-Timezone": "UTC"}
        if format_name:
            headers["X-ClickHouse-Format"] = format_name
        if arguments.get("enable_http_compression") == "1":
            data, encoding = compressed(data, self.headers.get("Accept-Encoding", ""))
            if encoding:
                headers["Content-Encoding"] = encoding
        self._send(200, data, headers)

    def _check_password(self) -> None:
        if not self.password:
            return
        given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if given.partition(":")[2] != self.password:
            raise RuntimeError(
                "Code: 516. DB::Exception: default: Authentication failed: password is incorrect, or there is no "
                "user with such name. (AUTHENTICATION_FAILED)"
            )

    def _run(self, arguments: dict[str, str], body: bytes) -> tuple[bytes, str]:
        query = arguments.get("query", "").encode()
        rows = b""
        whole = query + b"\n" + body if query else body
        if insert := INSERT.match(whole):
            whole, rows = insert[0], whole[insert.end() :]
        parameters = {name[6:]: value for name, value in arguments.items() if name.startswith("param_")}
        settings = {n: v for n, v in arguments.items() if n not in RESERVED and not n.startswith("param_")}
        with self.engine.connection(arguments.get("session_id")) as connection:
            if arguments.get("database"):
                connection.query(f"USE `{arguments['database']}`")
            for name, value in settings.items():
                connection.query(f"SET {name} = '{value}'")
            if rows:
                return self._insert(connection, whole.decode(), rows), ""
            sql = whole.decode()
            result = connection.query(sql, "TabSeparated", params=parameters)
            named = re.search(r"FORMAT\s+(\w+)\s*;?\s*$", sql)
            data = bytes(result.bytes() or b"")
            if named:
                return data, named[1]
            return data, "TabSeparated" if re.match(r"\s*(SELECT|WITH|SHOW|DESCRIBE|EXISTS|EXPLAIN)", sql, re.I) else ""

    def _insert(self, connection: Any, statement: str, rows: bytes) -> bytes:
        with tempfile.NamedTemporaryFile(suffix=".rows") as file:
            file.write(rows)
            file.flush()
            statement = re.sub(r"\sFORMAT\s+(\w+)\s*$", rf" FROM INFILE '{file.name}' FORMAT \1", statement)
            connection.query(statement)
        return b""

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        headers = {"X-ClickHouse-Query-Id": str(uuid.uuid4()), "X-ClickHouse-Summary": json.dumps({}), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def decompressed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    if encoding == "lz4":
        import lz4.frame

        return bytes(lz4.frame.decompress(body))
    return body


def compressed(body: bytes, accepted: str) -> tuple[bytes, str]:
    for encoding in (name.strip() for name in accepted.split(",")):
        if encoding == "zstd":
            import zstandard

            return zstandard.ZstdCompressor().compress(body), "zstd"
        if encoding == "lz4":
            import lz4.frame

            return lz4.frame.compress(body), "lz4"
        if encoding == "gzip":
            return gzip.compress(body), "gzip"
    return body, ""


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    message = BytesParser(policy=policy.HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = (part.get_payload(decode=True) or b"").decode()
    return fields


class ClickHouseHttp:
    """The double as a process: started, stopped as an outage, and started again on its port."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self.folder = folder
        self.password = password
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        login = f"default:{self.password}@" if self.password else ""
        return f"clickhouse://{login}127.0.0.1:{self.port}/spanhouse"

    def start(self) -> None:
        command = [sys.executable, __file__, str(self.folder), self.password, str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=10) as reply:
            assert reply.read() == b"Ok.\n"

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


def serve(folder: str, password: str, port: int) -> None:
    Handler.engine = Engine(folder)
    Handler.password = password
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=leave_with_parent, daemon=True).start()
    server.serve_forever()


def leave_with_parent() -> None:
    """End when the test process is gone, however it went."""
    parent = os.getppid()
    while os.getppid() == parent:
        threading.Event().wait(1)
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
