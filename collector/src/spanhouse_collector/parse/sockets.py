"""Answers over WebSocket, many to a connection: what all have in common, and OpenAI's Responses and Realtime."""

from __future__ import annotations

from collections import deque
from typing import Any

from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import parts_of, tool_definitions
from spanhouse_collector.parse.apis.responses import TERMINAL, Responses, item_message
from spanhouse_collector.parse.content import Trim, as_dict, dicts, message, name_of, text_part
from spanhouse_collector.parse.contract import Direction, Limits, Message, Part, Turn
from spanhouse_collector.parse.endpoints import Endpoint
from spanhouse_collector.parse.jsontext import MISSING, dumps
from spanhouse_collector.parse.squeeze import Gather

_MAX_LANES = 64
_MAX_WAITING = 256
#: Sound in small messages makes up most of a Realtime connection; it is passed over unparsed.
_AUDIO_APPEND = b"input_audio_buffer.append"


class OpenTurn:
    """An answer that has begun (or was asked for) and has not ended."""

    def __init__(self, api: Api, started_ns: int) -> None:
        self.api = api
        self.started_ns = started_ns
        self.item_ids: list[str] = []
        #: What was said, as far as it came in text.
        self.said = api.new_text()


class Socket:
    """Reads the messages of one connection into turns, of which a bounded number waits to be taken."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        self.endpoint = endpoint
        self.limits = limits
        self.turns: list[Turn] = []
        self.dropped_turns = 0
        self.faults: dict[str, int] = {}
        self.cut = False
        self._number = 0
        self._kept_bytes = 0

    def message(self, direction: Direction, data: bytes | str, at_ns: int) -> None:
        """Take one message of either side; binary and unreadable ones say nothing."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        if _AUDIO_APPEND in raw[:256]:
            return
        gather = Gather(self.limits.buffer_bytes)
        gather.add(raw)
        self.cut = self.cut or gather.cut
        body = gather.take()
        if body is MISSING:
            self.faults["json"] = self.faults.get("json", 0) + 1
        elif isinstance(body, dict):
            (self.from_client if direction == "client" else self.from_server)(body, at_ns)

    def from_client(self, body: dict[str, Any], at_ns: int) -> None:
        """Read a client's message."""

    def from_server(self, body: dict[str, Any], at_ns: int) -> None:
        """Read a server's message."""

    def finish(self, at_ns: int) -> None:
        """End the turns that are still open."""

    def close(self, turn: OpenTurn, at_ns: int, complete: bool) -> None:
        """Make a turn of an answer that ended."""
        turn.api.finish()
        self.cut = self.cut or turn.api.response_cut
        number, self._number = self._number, self._number + 1
        reading = turn.api.reading
        trim = Trim(self.limits)
        reading.input_messages = trim.value(reading.input_messages)
        reading.output_messages = trim.value(reading.output_messages)
        self._kept_bytes = 0 if not self.turns else self._kept_bytes
        self._kept_bytes += len(dumps([reading.input_messages, reading.output_messages]))
        if len(self.turns) >= self.limits.turns or (self.turns and self._kept_bytes > self.limits.turns_bytes):
            self.dropped_turns += 1
            return
        ended_ns = max(at_ns, turn.started_ns)
        self.turns.append(Turn(number, turn.started_ns, ended_ns, reading, complete))


class ResponsesSocket(Socket):
    """Responses over WebSocket: ``response.create`` asks, events answer, lane by lane."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._asked: dict[str, deque[OpenTurn]] = {}
        self._open: dict[str, OpenTurn] = {}

    def from_client(self, body: dict[str, Any], at_ns: int) -> None:
        """Take a request; requests of one lane are answered in order."""
        if body.get("type") != "response.create":
            return
        api = Responses(self.endpoint, self.limits)
        inner = body.get("response")
        api.request(inner if isinstance(inner, dict) else body)
        lane = name_of(body.get("stream_id"))
        if lane in self._asked or len(self._asked) < _MAX_LANES:
            waiting = self._asked.setdefault(lane, deque())
            if len(waiting) < _MAX_WAITING:
                waiting.append(OpenTurn(api, at_ns))

    def from_server(self, body: dict[str, Any], at_ns: int) -> None:
        """Hand an event to the answer it belongs to."""
        lane = name_of(body.get("stream_id"))
        turn = self._open.get(lane)
        kind = name_of(body.get("type"))
        if turn is None:
            if not (kind.startswith("response.") or kind == "error"):
                return
            waiting = self._asked.get(lane)
            if waiting:
                turn = waiting.popleft()
                if not waiting:
                    del self._asked[lane]
            elif kind == "error" or len(self._open) >= _MAX_LANES:
                return
            else:
                turn = OpenTurn(Responses(self.endpoint, self.limits), at_ns)
            self._open[lane] = turn
        turn.api.event("", body, at_ns)
        if kind in TERMINAL or kind == "error":
            del self._open[lane]
            self.close(turn, at_ns, complete=True)

    def finish(self, at_ns: int) -> None:
        """End what was asked and not answered to its end."""
        waiting = [turn for turns in self._asked.values() for turn in turns]
        for turn in [*self._open.values(), *waiting]:
            self.close(turn, at_ns, complete=False)
        self._open, self._asked = {}, {}


class RealtimeSocket(Socket):
    """Realtime: the session's settings, the items said so far, and one turn for each response."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._session: dict[str, Any] = {}
        self._items: dict[str, Message] = {}
        self._asked: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_MAX_WAITING)
        self._open: dict[str, OpenTurn] = {}

    def from_client(self, body: dict[str, Any], at_ns: int) -> None:
        """Note when an answer was asked for, and the settings it was asked with."""
        if body.get("type") == "response.create":
            self._asked.append((at_ns, as_dict(body.get("response"))))

    def from_server(self, body: dict[str, Any], at_ns: int) -> None:
        """Read one server event."""
        kind = name_of(body.get("type"))
        if kind in ("session.created", "session.updated"):
            self._session.update(as_dict(body.get("session")))
        elif kind in ("conversation.item.created", "conversation.item.added", "conversation.item.done"):
            self._item(as_dict(body.get("item")))
        elif kind == "conversation.item.input_audio_transcription.completed":
            known = self._items.get(name_of(body.get("item_id")))
            if known is not None and isinstance(body.get("transcript"), str):
                known["parts"] = [text_part(body["transcript"])]
        elif kind == "response.created":
            self._begin(as_dict(body.get("response")), at_ns)
        elif kind == "response.done":
            self._end(as_dict(body.get("response")), at_ns)
        elif kind == "error":
            self.faults["provider_error"] = self.faults.get("provider_error", 0) + 1
        elif kind.startswith("response.") and kind.endswith(".delta"):
            turn = self._open.get(name_of(body.get("response_id")))
            if turn is not None and body.get("delta"):
                turn.api.token(at_ns)
                if not kind.endswith("audio.delta"):
                    turn.said.add(body["delta"])

    def _item(self, item: dict[str, Any]) -> None:
        """Keep what was said to the model; its own items come with the response."""
        if item.get("role") == "assistant" or item.get("type") == "function_call":
            return
        item_id = name_of(item.get("id"))
        if item_id and (item_id in self._items or len(self._items) < _MAX_WAITING):
            made = _realtime_message(item)
            if made["parts"] or item_id not in self._items:
                self._items[item_id] = made

    def _begin(self, response: dict[str, Any], at_ns: int) -> None:
        asked_ns, given = self._asked.popleft() if self._asked else (at_ns, {})
        turn = OpenTurn(Api(self.endpoint, self.limits), asked_ns)
        reading = turn.api.reading
        settings = {**self._session, **{key: value for key, value in given.items() if value is not None}}
        reading.request_model = name_of(self._session.get("model")) or self.endpoint.model
        reading.streaming = True
        if isinstance(settings.get("instructions"), str) and settings["instructions"]:
            reading.system_instructions = [text_part(settings["instructions"])]
        reading.tool_definitions = tool_definitions(settings.get("tools"))
        turn.api.parameter("temperature", settings.get("temperature"))
        turn.api.parameter("max_tokens", settings.get("max_output_tokens"))
        # A transcript may come while the answer is made already: the messages are shared on purpose.
        reading.input_messages = list(self._items.values())
        turn.item_ids = list(self._items)
        response_id = reading.response_id = name_of(response.get("id"))
        if len(self._open) < _MAX_LANES:
            self._open[response_id] = turn

    def _end(self, response: dict[str, Any], at_ns: int) -> None:
        response_id = name_of(response.get("id"))
        if response_id not in self._open:
            self._begin(response, at_ns)
        turn = self._open.pop(response_id, None)
        if turn is None:
            return
        answer = Responses(self.endpoint, self.limits)
        answer.whole({key: value for key, value in response.items() if key != "output"})
        reading, said = turn.api.reading, answer.reading
        reading.usage, reading.response_id = said.usage, said.response_id
        reading.response_model = said.response_model or reading.request_model
        reading.finish_reasons = said.finish_reasons
        parts = [part for item in dicts(response.get("output")) for part in _realtime_message(item)["parts"]]
        reading.output_messages = [message("assistant", parts)] if parts else []
        turn.api.error(as_dict(response.get("status_details")))
        self.close(turn, at_ns, complete=True)
        for item_id in turn.item_ids:  # answered: only what comes from now on is new
            self._items.pop(item_id, None)

    def finish(self, at_ns: int) -> None:
        """End the responses that were cut off, with what came of them."""
        for turn in self._open.values():
            if turn.said:
                said = text_part(turn.api.text_of(turn.said))
                turn.api.reading.output_messages = [message("assistant", [said])]
            self.close(turn, at_ns, complete=False)
        self._open = {}


def _realtime_message(item: dict[str, Any]) -> Message:
    """Return an item as a message; sound counts as what was said in it."""
    if name_of(item.get("type")) not in ("message", ""):
        return item_message(item)
    parts: list[Part] = []
    for block in dicts(item.get("content")):
        transcript = block.get("transcript")
        if isinstance(transcript, str) and transcript:
            parts.append(text_part(transcript))
        else:
            parts += parts_of([block])
    return message(item.get("role") or "assistant", parts)
