"""A real HTTP server that decodes the OTLP and scores it is sent, and misbehaves on request."""

from __future__ import annotations

import gzip
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def plain(value: Any) -> Any:
    """Return an OTLP AnyValue as a Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind)


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in pairs}


@dataclass
class Received:
    """One span as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    status: int
    message: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    resource: dict[str, Any]
    scope: str

    def json(self, key: str) -> Any:
        """Return an attribute decoded from JSON, or the text itself."""
        text = self.attributes[key]
        return json.loads(text) if text[:1] in '{["0123456789ntf-' else text


@dataclass
class Capture:
    """What arrived. ``answers`` are (status, headers) for the next requests; afterwards all succeed."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[float, str, dict[str, str], int, int]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    max_body_bytes: int = 1 << 40
    hold: threading.Event = field(default_factory=threading.Event)

    def span(self, name: str) -> Received:
        """Return the one span of that name."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans named {name!r} among {[s.name for s in self.spans]}"
        return found[0]

    def wait(self, condition, timeout_s: float = 60.0) -> None:
        """Wait until ``condition()`` holds, or fail."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"still not: {[span.name for span in self.spans]}"
            time.sleep(0.01)


class CaptureServer:
    """``with CaptureServer() as capture:`` serves on a free port (or a given one) until the block ends."""

    def __init__(self, port: int = 0) -> None:
        self.capture = Capture()
        self.capture.hold.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.capture.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Capture:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self.capture

    def __exit__(self, *args: Any) -> None:
        self.capture.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        capture = self.capture

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                body = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
                headers = {name.lower(): value for name, value in self.headers.items()}
                capture.requests.append((time.monotonic(), self.path, headers, len(raw), len(body)))
                capture.hold.wait(300)
                status, extra = capture.answers.pop(0) if capture.answers else (200, {})
                if len(body) > capture.max_body_bytes:
                    status, extra = 413, {}
                if status == 200:
                    status = 200 if store(capture, self.path, body) else 400
                try:
                    self.send_response(status)
                    for name, value in extra.items():
                        self.send_header(name, value)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    pass

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


def store(capture: Capture, path: str, body: bytes) -> bool:
    """Keep what arrived; ``False`` refuses it. Scores named ``bad`` are refused with their whole body."""
    if path == "/api/v1/scores":
        given = json.loads(body)
        given = given if isinstance(given, list) else [given]
        if any(score["name"] == "bad" for score in given):
            return False
        capture.scores.extend(given)
    elif path == "/v1/logs":
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in resource.scope_logs:
                capture.logs.extend(scope.log_records)
    else:
        assert path == "/v1/traces", path
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                capture.spans.extend(read_span(resource, scope, span) for span in scope.spans)
    return True


def read_span(resource: Any, scope: Any, span: Any) -> Received:
    return Received(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        status=span.status.code,
        message=span.status.message,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=attributes(span.attributes),
        events=[(event.name, attributes(event.attributes)) for event in span.events],
        resource=attributes(resource.resource.attributes),
        scope=scope.scope.name,
    )
