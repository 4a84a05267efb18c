"""Cohere's ``/v2/chat``: OpenAI-like messages, events of its own, usage at the end."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import chat_message, tool_definitions
from spanhouse_collector.parse.content import (
    Text,
    as_dict,
    dicts,
    message,
    name_of,
    reasoning_part,
    text_part,
    tool_call_part,
)
from spanhouse_collector.parse.contract import Limits, Part
from spanhouse_collector.parse.endpoints import Endpoint

PARAMETERS = {
    "temperature": "temperature",
    "p": "top_p",
    "k": "top_k",
    "max_tokens": "max_tokens",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_MAX_CALLS = 256


class CohereChat(Api):
    """Cohere's chat."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._text = self.new_text()
        self._thinking = self.new_text()
        self._plan = self.new_text()
        self._calls: dict[int, tuple[dict[str, Any], Text]] = {}
        self._reason = ""

    def request(self, body: dict[str, Any]) -> None:
        """Read model, parameters, messages and tools."""
        reading = self.reading
        reading.request_model = name_of(body.get("model"))
        reading.streaming = body.get("stream") is True
        for theirs, ours in PARAMETERS.items():
            self.parameter(ours, body.get(theirs))
        self.stop_sequences(body.get("stop_sequences"))
        reading.input_messages = [chat_message(item) for item in dicts(body.get("messages"))]
        reading.tool_definitions = tool_definitions(body.get("tools"))

    def document(self, body: Any) -> None:
        """Read a whole answer."""
        found = as_dict(body)
        if self.error(found):
            return
        self.reading.response_id = name_of(found.get("id"))
        self.reading.usage = usage.cohere(as_dict(found.get("usage")))
        self._reason = name_of(found.get("finish_reason"))
        self.finish_reason(self._reason)
        said = chat_message(as_dict(found.get("message")))
        self.reading.output_messages = [message("assistant", said["parts"], self._reason)]

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event by the type inside it."""
        found = as_dict(body)
        self.reading.streaming = True
        if self.error(found):
            return
        delta = as_dict(found.get("delta"))
        said = as_dict(delta.get("message"))
        kind = name_of(found.get("type")) or name
        if kind == "message-start":
            self.reading.response_id = name_of(found.get("id"))
        elif kind == "content-delta":
            content = as_dict(said.get("content"))
            if self._text.add(content.get("text")) | self._thinking.add(content.get("thinking")):
                self.token(at_ns)
        elif kind == "tool-plan-delta":
            if self._plan.add(said.get("tool_plan")):
                self.token(at_ns)
        elif kind in ("tool-call-start", "tool-call-delta"):
            self._call(found.get("index"), as_dict(said.get("tool_calls")), at_ns)
        elif kind == "message-end":
            self._reason = name_of(delta.get("finish_reason"))
            self.finish_reason(self._reason)
            self.reading.usage = usage.cohere(as_dict(delta.get("usage")))

    def _call(self, index: Any, call: dict[str, Any], at_ns: int) -> None:
        place = index if isinstance(index, int) else 0
        if place not in self._calls:
            if len(self._calls) >= _MAX_CALLS:
                self.response_cut = True
                return
            head = {"id": call.get("id"), "name": as_dict(call.get("function")).get("name")}
            self._calls[place] = (self.keep(head), self.new_text())
        self._calls[place][1].add(as_dict(call.get("function")).get("arguments"))
        self.token(at_ns)

    def finish(self) -> None:
        """Put a streamed answer together."""
        parts: list[Part] = [reasoning_part(self.text_of(text)) for text in (self._thinking, self._plan) if text]
        if self._text:
            parts.append(text_part(self.text_of(self._text)))
        for _, (head, arguments) in sorted(self._calls.items()):
            parts.append(tool_call_part(head.get("id"), head.get("name"), self.text_of(arguments)))
        if parts:
            self.reading.output_messages = [message("assistant", parts, self._reason)]
