"""Reads one call from copies of its bytes. See ``contract`` for the order of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from spanhouse_collector.parse.apis import APIS, Api
from spanhouse_collector.parse.apis.base import read_failure
from spanhouse_collector.parse.contract import (
    CallEnd,
    CallRecord,
    CallStart,
    Direction,
    Headers,
    Limits,
    Reading,
    Turn,
)
from spanhouse_collector.parse.endpoints import find
from spanhouse_collector.parse.eventstream import EventStream
from spanhouse_collector.parse.framing import ArrayItems, Discard, Document, Framer, Lines, ServerSentEvents
from spanhouse_collector.parse.gemini_live import GeminiLiveSocket
from spanhouse_collector.parse.held import HeldRequest
from spanhouse_collector.parse.inflate import Inflate
from spanhouse_collector.parse.jsontext import MISSING, loads, loads_cut
from spanhouse_collector.parse.multipart import Form, boundary_of
from spanhouse_collector.parse.sessions import identify
from spanhouse_collector.parse.sockets import RealtimeSocket, ResponsesSocket, Socket
from spanhouse_collector.parse.squeeze import Gather

#: As many bytes tell an event stream from a JSON text.
_SNIFF_BYTES = 6
_SSE_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":")
#: The ``error_type`` of calls during which the proxy died.
PROXY_ENDED = "proxy_ended"
_FIELD_BYTES = 64 * 1024
_MAX_FIELDS = 64
_LINE_TYPES = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-lines",
    "application/stream+json",
)
#: APIs that stream lines of JSON whatever the content type says.
_LINE_APIS = ("cohere_chat_v1", "cohere_generate")
SOCKETS: dict[str, type[Socket]] = {
    "gemini_live": GeminiLiveSocket,
    "realtime": RealtimeSocket,
    "responses_socket": ResponsesSocket,
}
_PAYLOAD_TYPES = ("audio/", "image/", "video/")
#: Response headers worth keeping: they tell one upstream answer from another and why it was late.
KEPT_HEADERS = frozenset(
    {"content-type", "content-encoding", "x-request-id", "request-id", "x-amzn-requestid", "retry-after"}
)


class CallReader:
    """Reads one call. No method raises or blocks; memory is bounded by ``limits`` and by what is kept."""

    def __init__(self, start: CallStart, limits: Limits | None = None) -> None:
        self.start = start
        self.limits = limits or Limits()
        self._faults: dict[str, int] = {}
        self._cut: set[str] = set()
        headers = {name.lower(): value for name, value in start.request_headers}
        self._endpoint = find(start.provider, start.method, start.path, start.query)
        maker = APIS.get(self._endpoint.api)
        self._api: Api | None = maker(self._endpoint, self.limits) if maker is not None else None
        boundary = boundary_of(headers.get("content-type", ""))
        self._form = Form(boundary, _FIELD_BYTES, _MAX_FIELDS) if boundary else None
        self._request = Gather(self.limits.buffer_bytes)
        self._request_inflate = Inflate(headers.get("content-encoding", ""), self.limits.inflated_bytes)
        self._request_ended = False
        self._held = HeldRequest()
        self._response_inflate = Inflate("", 0)
        self._framer: Framer | None = None
        self._head = b""
        self._content_type = ""
        self._socket: Socket | None = None
        self._socket_sought = False
        self._record = CallRecord(start, CallEnd("complete", start.started_ns), Reading(), self.limits)
        self._last_ns = start.started_ns

    def request_chunk(self, chunk: bytes) -> None:
        """Take the next bytes of the request's body."""
        self._record.request_bytes += len(chunk)
        if self._api is not None:
            self._guard(self._read_request, chunk)

    def request_end(self) -> None:
        """Read the request, whose body is complete."""
        if not self._request_ended:
            self._request_ended = True
            self._guard(self._end_request)

    def response_start(self, status: int, headers: Headers, at_ns: int) -> None:
        """Take status and headers of the answer that goes to the client; comes once."""
        self._record.status = status
        self._record.response_headers = [(name, value) for name, value in headers if name.lower() in KEPT_HEADERS]
        self._last_ns = at_ns
        self._guard(self._open_response, headers)

    def response_chunk(self, chunk: bytes, at_ns: int) -> None:
        """Take the next bytes of the answer, as the upstream sent them."""
        if not chunk:
            return
        if self._record.first_byte_ns is None:
            self._record.first_byte_ns = at_ns
        self._record.response_bytes += len(chunk)
        self._last_ns = at_ns
        if self._api is not None:
            self._guard(self._read_response, chunk, at_ns)

    def websocket_message(self, direction: Direction, data: bytes | str, at_ns: int) -> None:
        """Take one message of an upgraded connection, from the client or from the server."""
        record = self._record
        record.websocket = True
        size_bytes = len(data.encode()) if isinstance(data, str) else len(data)
        if direction == "client":
            record.messages_out += 1
            record.request_bytes += size_bytes
        else:
            record.messages_in += 1
            record.response_bytes += size_bytes
            if record.first_byte_ns is None:
                record.first_byte_ns = at_ns
        self._guard(self._read_message, direction, data, at_ns)

    def take_turns(self) -> list[Turn]:
        """Return the answers of a WebSocket that are complete, and keep them no longer."""
        if self._socket is None:
            return []
        taken, self._socket.turns = self._socket.turns, []
        self._record.turns_told += len(taken)
        for turn in taken:
            self._guard(identify, self.start, turn.reading)
        return taken

    def end(self, end: CallEnd) -> CallRecord:
        """Return all that was read. Called once, last."""
        record = self._record
        record.end = end
        if not self._request_ended and not self._request.empty:
            self.request_end()
        self._guard(self._end_response)
        if self._api is not None:
            record.api = self._endpoint.api
            record.reading = self._api.reading
            self._guard(self._held.give_back, record.reading)
            self._guard(self._api.finish)
            if self._api.response_cut:
                self._cut.add("response")
        if self._socket is not None:
            self._guard(self._socket.finish, end.at_ns)
            record.api = self._socket.endpoint.api
            record.dropped_turns = self._socket.dropped_turns
            self._count(self._socket.faults)
            if self._socket.cut:
                self._cut.add("response")
            told = record.turns_told
            record.turns = self.take_turns()
            record.turns_told = told
        # A client that hangs up on the end mark, and a proxy that died between that and the stream's last byte.
        cut_late = end.outcome == "client_disconnected" or end.error_type == PROXY_ENDED
        if cut_late and self._was_whole(record.reading):
            record.end = replace(end, outcome="complete", error_type="", error_message="")
        self._guard(identify, self.start, record.reading)
        for inflate in (self._request_inflate, self._response_inflate):
            if inflate.fault:
                self._count({inflate.fault: 1})
        record.truncated, record.faults = self._cut, self._faults
        return record

    # Request -----------------------------------------------------------------------------------

    def _read_request(self, chunk: bytes) -> None:
        pieces: Iterable[bytes] = (chunk,) if self._request_inflate.plain else self._request_inflate.feed(chunk)
        for piece in pieces:
            if self._form is not None:
                self._form.feed(piece)
            else:
                self._request.add(piece)

    def _end_request(self) -> None:
        if self._api is None:
            return
        if self._form is not None:
            self._api.request_form(self._form.fields, self._form.files)
            if self._form.cut:
                self._cut.add("request")
            return
        if self._request.empty:
            return
        if self._request.cut:
            self._cut.add("request")
        raw = self._request.raw()
        self._request.reset()
        body = loads(raw)
        if body is MISSING:  # the copy may end where the relay stopped copying
            self._count({"json": 1})
            self._cut.add("request")
            body = loads_cut(raw)
        if isinstance(body, dict):
            self._api.request(body)
            self._held.put(self._api.reading)

    # Response ----------------------------------------------------------------------------------

    def _open_response(self, headers: Headers) -> None:
        encodings = [value for name, value in headers if name.lower() == "content-encoding"]
        types = [value for name, value in headers if name.lower() == "content-type"]
        self._response_inflate = Inflate(",".join(encodings), self.limits.inflated_bytes)
        self._content_type = types[0].partition(";")[0].strip().lower() if types else ""
        if self._api is None:
            return
        self._api.response_headers(headers)
        if self._failed:
            kinds = [value for name, value in headers if name.lower() == "x-amzn-errortype"]
            if kinds:
                self._api.reading.error_type = kinds[0].partition(":")[0].strip()[:256]

    @property
    def _failed(self) -> bool:
        return self._record.status is not None and self._record.status >= 400

    def _read_response(self, chunk: bytes, at_ns: int) -> None:
        if self._response_inflate.plain:
            self._feed(chunk, at_ns)
            return
        for piece in self._response_inflate.feed(chunk):
            self._feed(piece, at_ns)

    def _feed(self, piece: bytes, at_ns: int) -> None:
        if self._framer is None:
            self._head += piece
            begun = self._head.lstrip()
            if len(begun) < _SNIFF_BYTES:
                return
            self._framer = self._choose(begun)
            piece, self._head = self._head, b""
        self._events(self._framer.feed(piece), at_ns)

    def _choose(self, begun: bytes) -> Framer:
        """Choose how the body is cut: the bytes themselves decide where the header may be wrong."""
        limit_bytes, api = self.limits.buffer_bytes, self._endpoint.api
        if self._content_type == "application/vnd.amazon.eventstream":
            return EventStream(limit_bytes)
        if self._failed:
            return Document(limit_bytes)
        if self._content_type in _LINE_TYPES or api.startswith("ollama"):
            return Lines(limit_bytes)
        if begun.startswith(_SSE_BEGINNINGS):
            return ServerSentEvents(limit_bytes)
        if begun[:1] == b"{" and api in _LINE_APIS and self._api is not None and self._api.reading.streaming:
            return Lines(limit_bytes)
        if begun[:1] == b"[" and api == "gemini" and self._endpoint.streams:
            return ArrayItems(limit_bytes)
        if self._content_type == "text/event-stream" and begun[:1] != b"{":
            return ServerSentEvents(limit_bytes)
        if self._content_type.startswith(_PAYLOAD_TYPES):
            return Discard()
        return Document(limit_bytes)

    def _events(self, events: Iterable[tuple[str, Any]], at_ns: int) -> None:
        assert self._api is not None
        whole = isinstance(self._framer, Document)
        for name, value in events:
            if self._failed:
                kind, text = read_failure(value)
                reading = self._api.reading
                reading.error_type = reading.error_type or kind
                reading.error_message = reading.error_message or text
            elif whole and name == "text":
                self._api.plain_text(value)
            elif whole:
                self._api.document(value)
            else:
                self._api.event(name, value, at_ns)

    def _end_response(self) -> None:
        if self._api is None:
            return
        if self._framer is None and self._head:
            self._framer = self._choose(self._head.lstrip())
            self._events(self._framer.feed(self._head), self._last_ns)
        if self._framer is None:
            return
        self._events(self._framer.finish(), self._last_ns)
        self._count(self._framer.faults)
        if self._framer.cut:
            self._cut.add("response")

    def _was_whole(self, reading: Reading) -> bool:
        """Tell whether a stream had said all before the client closed it, as many do on the end mark.

        The model said why it finished, and then came the end mark or the usage, which close a stream.
        """
        done = self._framer is not None and self._framer.done
        return reading.streaming and bool(reading.finish_reasons) and (done or reading.usage.known)

    # WebSocket ---------------------------------------------------------------------------------

    def _read_message(self, direction: Direction, data: bytes | str, at_ns: int) -> None:
        if not self._socket_sought:
            self._socket_sought = True
            start = self.start
            endpoint = find(start.provider, start.method, start.path, start.query, websocket=True)
            maker = SOCKETS.get(endpoint.api)
            self._socket = maker(endpoint, self.limits) if maker is not None else None
        if self._socket is not None:
            self._socket.message(direction, data, at_ns)

    # Bookkeeping -------------------------------------------------------------------------------

    def _count(self, faults: dict[str, int]) -> None:
        for kind, number in faults.items():
            self._faults[kind] = self._faults.get(kind, 0) + number

    def _guard(self, step: Callable[..., None], *arguments: Any) -> None:
        """Run a step; a mistake in reading costs the reading, never the call."""
        try:
            step(*arguments)
        except Exception:  # noqa: BLE001  what a body may hold has no end, and the relay must not care
            self._count({"internal": 1})
