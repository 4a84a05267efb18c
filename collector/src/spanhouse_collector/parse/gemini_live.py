"""Gemini's Live API: a set-up, then turns of text, sound and tool calls over one WebSocket."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse.apis.gemini import GenerateContent, content_message, part_of
from spanhouse_collector.parse.content import as_dict, blob_part, dicts, message, modality_of, name_of, text_part
from spanhouse_collector.parse.contract import Direction, Limits, Message
from spanhouse_collector.parse.endpoints import Endpoint
from spanhouse_collector.parse.sockets import OpenTurn, Socket

_MAX_WAITING = 256
_HEAD_BYTES = 64


class _Answer(GenerateContent):
    """An answer that may have been spoken: one part stands for all its sound."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self.heard = self.new_text()
        self._sound_type = ""
        self._sound_bytes = 0

    def take_sound(self, part: dict[str, Any]) -> bool:
        """Count a part that is inline data; tell whether it is."""
        data = as_dict(part.get("inlineData"))
        if data:
            self._sound_type = name_of(data.get("mimeType")) or self._sound_type
            self._sound_bytes += len(data["data"]) * 3 // 4 if isinstance(data.get("data"), str) else 0
        return bool(data)

    def finish(self) -> None:
        """Put the answer together."""
        super().finish()
        if self.heard:
            self.reading.input_messages.append(message("user", [text_part(self.text_of(self.heard))]))
        if self._sound_bytes:
            modality = modality_of(self._sound_type)
            part = {**blob_part(modality, self._sound_type, None), "size_bytes": self._sound_bytes}
            said = self.reading.output_messages
            if not said:
                said.append(message("assistant", []))
            said[0]["parts"].append(part)


class GeminiLiveSocket(Socket):
    """``BidiGenerateContent``: one turn for each answer, from what asked for it to ``turnComplete``.

    Sound is not kept; what was heard and said in it is, where transcriptions were asked for.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._setup: dict[str, Any] = {}
        self._asked: list[Message] = []
        self._asked_ns: int | None = None
        self._answer: _Answer | None = None
        self._started_ns = 0

    def message(self, direction: Direction, data: bytes | str, at_ns: int) -> None:
        """Take one message; sound and pictures on their way to the model are passed over unparsed."""
        head = data[:_HEAD_BYTES]
        raw = head.encode("utf-8", "replace") if isinstance(head, str) else head
        is_media = b"realtimeInput" in raw or b"realtime_input" in raw
        if not (direction == "client" and is_media and b'"text"' not in raw):
            super().message(direction, data, at_ns)

    def from_client(self, body: dict[str, Any], at_ns: int) -> None:
        """Read the set-up, or what the person says."""
        setup, said = _either(body, "setup", "setup"), _either(body, "clientContent", "client_content")
        typed = _either(body, "realtimeInput", "realtime_input")
        answers = _either(body, "toolResponse", "tool_response")
        if setup:
            self._setup = setup
        elif said:
            for content in dicts(said.get("turns")) or dicts([said.get("turns")]):
                self._ask(content_message(content))
            if said.get("turnComplete", said.get("turn_complete")) is True:
                self._asked_ns = at_ns
        elif isinstance(typed.get("text"), str) and typed["text"]:
            self._ask(message("user", [text_part(typed["text"])]))
            self._asked_ns = at_ns
        elif answers:
            given = dicts(answers.get("functionResponses") or answers.get("function_responses"))
            self._ask(message("tool", [part_of({"functionResponse": answer}) for answer in given]))
            self._asked_ns = at_ns

    def _ask(self, said: Message) -> None:
        """Keep what was said to the model until it answers; within an answer it belongs to that one."""
        waiting = self._asked if self._answer is None else self._answer.reading.input_messages
        if said["parts"] and len(waiting) < _MAX_WAITING:
            waiting.append(said)

    def from_server(self, body: dict[str, Any], at_ns: int) -> None:
        """Read one server message: content, tool calls and usage, alone or together."""
        content, calls = as_dict(body.get("serverContent")), as_dict(body.get("toolCall"))
        served = body.get("usageMetadata")
        if not (content or calls or served):
            return
        answer = self._answer or self._begin(at_ns)
        answer.heard.add(as_dict(content.get("inputTranscription")).get("text"))
        said = dicts(as_dict(content.get("modelTurn")).get("parts"))
        parts = [part for part in said if not answer.take_sound(part)]
        spoken = as_dict(content.get("outputTranscription")).get("text")
        if isinstance(spoken, str) and spoken:
            parts.append({"text": spoken})
        parts += [{"functionCall": call} for call in dicts(calls.get("functionCalls"))]
        answer.event("", {"candidates": [{"content": {"parts": parts}}], "usageMetadata": served}, at_ns)
        if said and not parts:
            answer.token(at_ns)  # sound is content too
        if content.get("interrupted") is True:
            answer.finish_reason("interrupted")
        if content.get("turnComplete") is True:
            self._end(answer, at_ns, complete=True)

    def _begin(self, at_ns: int) -> _Answer:
        answer = self._answer = _Answer(self.endpoint, self.limits)
        answer.request(self._setup)
        reading = answer.reading
        reading.streaming = True
        reading.request_model = name_of(self._setup.get("model")).rpartition("/")[2]
        reading.input_messages, self._asked = self._asked, []
        self._started_ns = at_ns if self._asked_ns is None else self._asked_ns
        self._asked_ns = None
        return answer

    def _end(self, answer: _Answer, at_ns: int, *, complete: bool) -> None:
        self._answer = None
        self.close(OpenTurn(answer, self._started_ns), at_ns, complete)

    def finish(self, at_ns: int) -> None:
        """End the answer that was cut off."""
        if self._answer is not None:
            self._end(self._answer, at_ns, complete=False)


def _either(body: dict[str, Any], one: str, other: str) -> dict[str, Any]:
    return as_dict(body.get(one)) or as_dict(body.get(other))
