"""Ollama's own API: newline-delimited JSON, usage on the line that is done."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.embeddings import texts_of
from spanhouse_collector.parse.apis.openai_parts import chat_message, tool_calls, tool_definitions
from spanhouse_collector.parse.content import (
    as_dict,
    as_list,
    blob_part,
    dicts,
    message,
    name_of,
    reasoning_part,
    text_part,
)
from spanhouse_collector.parse.contract import Limits, Message, Part
from spanhouse_collector.parse.endpoints import Endpoint

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "num_predict": "max_tokens",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_MAX_CALLS = 256


class Chat(Api):
    """``/api/chat``; streams unless the request says ``stream: false``."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._text = self.new_text()
        self._thinking = self.new_text()
        self._calls: list[Part] = []
        self._reason = ""

    def request(self, body: dict[str, Any]) -> None:
        """Read model, options, messages and tools."""
        reading = self.reading
        reading.request_model = name_of(body.get("model"))
        reading.streaming = body.get("stream") is not False
        options = as_dict(body.get("options"))
        for theirs, ours in _OPTIONS.items():
            self.parameter(ours, options.get(theirs))
        self.stop_sequences(options.get("stop"))
        self.parameter("reasoning.level", body.get("think"), (str,))
        if body.get("format"):
            reading.attributes["gen_ai.output.type"] = "json"
        reading.tool_definitions = tool_definitions(body.get("tools"))
        self.conversation(body)

    def conversation(self, body: dict[str, Any]) -> None:
        """Read the messages; images stand beside the text."""
        for item in dicts(body.get("messages")):
            item = dict(item)
            if isinstance(item.get("thinking"), str):
                item["reasoning"] = item["thinking"]
            if item.get("tool_name"):
                item["tool_call_id"] = item["tool_name"]
            images = as_list(item.pop("images", None))
            made = chat_message(item)
            made["parts"] += [blob_part("image", "", image) for image in images]
            self.reading.input_messages.append(made)

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one line; an answer that does not stream is a single one."""
        line = as_dict(body)
        if self.error(line):
            return
        reading = self.reading
        reading.response_model = name_of(line.get("model")) or reading.response_model
        came = self.said(line)
        if came and reading.streaming:
            self.token(at_ns)
        if line.get("done") is True:
            self._reason = name_of(line.get("done_reason"))
            self.finish_reason(self._reason)
            reading.usage = usage.ollama(line)

    def document(self, body: Any) -> None:
        """Read an answer that came as one value."""
        self.reading.streaming = False
        self.event("", body, 0)

    def said(self, line: dict[str, Any]) -> bool:
        """Add what a line says; tell whether it brought content."""
        delta = as_dict(line.get("message"))
        came = self._text.add(delta.get("content"))
        came = self._thinking.add(delta.get("thinking")) or came
        calls = tool_calls(delta)
        self._calls += [self.keep(call) for call in calls[: _MAX_CALLS - len(self._calls)]]
        return came or bool(calls)

    def finish(self) -> None:
        """Put the answer together."""
        parts: list[Part] = []
        if self._thinking:
            parts.append(reasoning_part(self.text_of(self._thinking)))
        if self._text:
            parts.append(text_part(self.text_of(self._text)))
        parts += self._calls
        if parts or self._reason:
            self.reading.output_messages = [message("assistant", parts, self._reason)]


class Generate(Chat):
    """``/api/generate``: a prompt, answered by ``response``."""

    def conversation(self, body: dict[str, Any]) -> None:
        """Read prompt, system text and suffix."""
        reading = self.reading
        if isinstance(body.get("system"), str) and body["system"]:
            reading.system_instructions = [text_part(body["system"])]
        parts: list[Part] = []
        if isinstance(body.get("prompt"), str) and body["prompt"]:
            parts.append(text_part(body["prompt"]))
        if isinstance(body.get("suffix"), str) and body["suffix"]:
            parts.append({"type": "suffix", "content": body["suffix"]})
        parts += [blob_part("image", "", image) for image in as_list(body.get("images"))]
        given: list[Message] = [message("user", parts)] if parts else []
        reading.input_messages = given

    def said(self, line: dict[str, Any]) -> bool:
        """Add what a line says."""
        return self._thinking.add(line.get("thinking")) | self._text.add(line.get("response"))


class Embed(Api):
    """``/api/embed`` and the older ``/api/embeddings``."""

    def request(self, body: dict[str, Any]) -> None:
        """Read the model and what is to be embedded."""
        self.reading.request_model = name_of(body.get("model"))
        self.reading.input_messages = texts_of(body.get("input", body.get("prompt")), self.limits.messages)

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read the answer, which is one line."""
        found = as_dict(body)
        if self.error(found):
            return
        self.reading.response_model = name_of(found.get("model"))
        vectors = as_list(found.get("embeddings")) or [found.get("embedding")]
        if isinstance(vectors[0], list):
            self.reading.attributes["gen_ai.embeddings.dimension.count"] = len(vectors[0])
        self.reading.usage = usage.ollama(found)

    def document(self, body: Any) -> None:
        """Read the answer."""
        self.event("", body, 0)
