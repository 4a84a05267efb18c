"""Cohere's first API: ``/v1/chat`` and ``/v1/generate``, streamed as lines of JSON or as events."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.cohere import PARAMETERS
from spanhouse_collector.parse.content import (
    as_dict,
    as_list,
    dicts,
    message,
    name_of,
    text_part,
    tool_call_part,
    tool_response_part,
)
from spanhouse_collector.parse.contract import Limits, Message, Part
from spanhouse_collector.parse.endpoints import Endpoint

_ROLES = {"USER": "user", "CHATBOT": "assistant", "SYSTEM": "system", "TOOL": "tool"}


class _CohereV1(Api):
    """What the two have in common: parameters, and events that end in a whole answer."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._text = self.new_text()
        self._reason = ""

    def request(self, body: dict[str, Any]) -> None:
        """Read model, parameters and what was asked."""
        reading = self.reading
        reading.request_model = name_of(body.get("model"))
        reading.streaming = body.get("stream") is True
        for theirs, ours in PARAMETERS.items():
            self.parameter(ours, body.get(theirs))
        self.stop_sequences(body.get("stop_sequences") or body.get("end_sequences"))
        self.asked(body)

    def asked(self, body: dict[str, Any]) -> None:
        """Read what was asked."""

    def answered(self, body: dict[str, Any]) -> None:
        """Read a whole answer, of a call or at the end of a stream."""

    def document(self, body: Any) -> None:
        """Read a whole answer."""
        found = as_dict(body)
        if not self.error(found):
            self.answered(found)

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event by the type inside it."""
        found = as_dict(body)
        kind = name_of(found.get("event_type")) or name
        self.reading.streaming = True
        if self.error(found):
            return
        if kind in ("text-generation", "tool-calls-chunk"):
            if self._text.add(found.get("text")) or isinstance(found.get("tool_call_delta"), dict):
                self.token(at_ns)
        elif kind == "stream-start":
            self.reading.response_id = name_of(found.get("generation_id"))
        elif kind == "stream-end":
            self._reason = name_of(found.get("finish_reason"))
            self.answered(as_dict(found.get("response")))
            self.finish_reason(self._reason)

    def outcome(self, body: dict[str, Any], reason: Any) -> None:
        """Read id, usage and why it ended."""
        reading = self.reading
        named = body.get("response_id") or body.get("generation_id") or body.get("id")
        reading.response_id = name_of(named) or reading.response_id
        self._reason = name_of(reason) or self._reason
        self.finish_reason(self._reason)
        meta = body.get("meta")
        if isinstance(meta, dict):
            reading.usage = usage.cohere(meta)


class CohereChatV1(_CohereV1):
    """``/v1/chat``: one message and the history before it."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._calls: list[Part] = []

    def asked(self, body: dict[str, Any]) -> None:
        """Read preamble, history, message, results of tools and tools."""
        reading = self.reading
        if isinstance(body.get("preamble"), str) and body["preamble"]:
            reading.system_instructions = [text_part(body["preamble"])]
        reading.input_messages = [_said(item) for item in dicts(body.get("chat_history"))]
        if isinstance(body.get("message"), str) and body["message"]:
            reading.input_messages.append(message("user", [text_part(body["message"])]))
        results = _results(body.get("tool_results"))
        if results:
            reading.input_messages.append(message("tool", results))
        reading.tool_definitions = [_tool(tool) for tool in dicts(body.get("tools"))]

    def answered(self, body: dict[str, Any]) -> None:
        """Read text, tool calls and usage."""
        if not self._text:
            self._text.add(body.get("text"))
        self._calls = [self.keep(call) for call in _calls(body.get("tool_calls"))]
        self.outcome(body, body.get("finish_reason"))

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event; tool calls come whole before the end."""
        super().event(name, body, at_ns)
        found = as_dict(body)
        if found.get("event_type") == "tool-calls-generation":
            self._calls = [self.keep(call) for call in _calls(found.get("tool_calls"))]
            self.token(at_ns)

    def finish(self) -> None:
        """Put the answer together."""
        parts = [text_part(self.text_of(self._text))] if self._text else []
        parts += self._calls
        if parts:
            self.reading.output_messages = [message("assistant", parts, self._reason)]


class CohereGenerate(_CohereV1):
    """``/v1/generate``: a prompt and one or more continuations."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._made: list[tuple[str, str]] = []

    def asked(self, body: dict[str, Any]) -> None:
        """Read the prompt and how many continuations are wanted."""
        if isinstance(body.get("prompt"), str) and body["prompt"]:
            self.reading.input_messages = [message("user", [text_part(body["prompt"])])]
        if body.get("num_generations") != 1:
            self.parameter("choice.count", body.get("num_generations"))

    def answered(self, body: dict[str, Any]) -> None:
        """Read the continuations and usage."""
        for made in dicts(body.get("generations"))[: self.limits.messages]:
            text = self.new_text()
            text.add(made.get("text"))
            self._made.append((self.text_of(text), name_of(made.get("finish_reason"))))
            self.finish_reason(made.get("finish_reason"))
        self.outcome(body, "")

    def finish(self) -> None:
        """Put the answer together."""
        made = self._made or ([(self.text_of(self._text), self._reason)] if self._text else [])
        self.reading.output_messages = [
            message("assistant", [text_part(text)] if text else [], reason or self._reason) for text, reason in made
        ]


def _said(item: dict[str, Any]) -> Message:
    """Return one message of the history."""
    parts: list[Part] = []
    if isinstance(item.get("message"), str) and item["message"]:
        parts.append(text_part(item["message"]))
    parts += _calls(item.get("tool_calls"))
    parts += _results(item.get("tool_results"))
    return message(_ROLES.get(name_of(item.get("role")).upper(), "user"), parts)


def _calls(calls: Any) -> list[Part]:
    return [tool_call_part(None, call.get("name"), call.get("parameters")) for call in dicts(calls)]


def _results(results: Any) -> list[Part]:
    return [
        tool_response_part(as_dict(result.get("call")).get("name"), as_list(result.get("outputs")))
        for result in dicts(results)
    ]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "function", "name": name_of(tool.get("name"))}
    if isinstance(tool.get("description"), str):
        made["description"] = tool["description"]
    if isinstance(tool.get("parameter_definitions"), dict):
        made["parameters"] = tool["parameter_definitions"]
    return made
