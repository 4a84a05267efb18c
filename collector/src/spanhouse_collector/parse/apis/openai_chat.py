"""Chat completions and legacy completions, of OpenAI and all who speak like it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import (
    chat_message,
    output_type,
    part_of,
    parts_of,
    tool_definitions,
)
from spanhouse_collector.parse.content import (
    Text,
    as_dict,
    blob_part,
    dicts,
    message,
    name_of,
    reasoning_part,
    text_part,
    tool_call_part,
)
from spanhouse_collector.parse.contract import Limits, Message, Part
from spanhouse_collector.parse.endpoints import Endpoint

_NUMBERS = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed")
_MAX_CHOICES = 128
_MAX_CALLS = 256
_MAX_IMAGES = 64


@dataclass(slots=True)
class _Call:
    """A tool call put together from deltas."""

    arguments: Text
    id: str = ""
    name: str = ""


@dataclass(slots=True)
class _Choice:
    """One alternative answer put together from deltas."""

    text: Text
    reasoning: Text
    audio: Text
    role: str = "assistant"
    finish_reason: str = ""
    calls: dict[int, _Call] = field(default_factory=dict)
    extra: list[Part] = field(default_factory=list)


class ChatCompletions(Api):
    """``/chat/completions``: answers by ``choices``, streamed by ``choices[].delta``."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._choices: dict[int, _Choice] = {}
        self._usage: dict[str, Any] = {}

    def request(self, body: dict[str, Any]) -> None:
        """Read model, parameters, messages and tools."""
        reading = self.reading
        reading.request_model = name_of(body.get("model")) or reading.request_model
        reading.streaming = body.get("stream") is True
        for name in _NUMBERS:
            self.parameter(name, body.get(name))
        self.parameter("seed", body.get("random_seed"))
        limit = body.get("max_completion_tokens")
        self.parameter("max_tokens", body.get("max_tokens") if limit is None else limit)
        if isinstance(body.get("n"), int) and body["n"] != 1:
            self.parameter("choice.count", body["n"])
        self.stop_sequences(body.get("stop"))
        effort = body.get("reasoning_effort") or as_dict(body.get("reasoning")).get("effort")
        self.parameter("reasoning.level", effort, (str,))
        if output_type(body.get("response_format")):
            reading.attributes["gen_ai.output.type"] = output_type(body.get("response_format"))
        if isinstance(body.get("service_tier"), str):
            reading.attributes["openai.request.service_tier"] = name_of(body["service_tier"])
        reading.user_id = name_of(body.get("user")) or name_of(body.get("safety_identifier"))
        reading.tool_definitions = tool_definitions(body.get("tools") or body.get("functions"))
        self.conversation(body)

    def conversation(self, body: dict[str, Any]) -> None:
        """Read the messages; leading system ones stay messages, as the API takes them."""
        self.reading.input_messages = [chat_message(item) for item in dicts(body.get("messages"))]

    def document(self, body: Any) -> None:
        """Read a whole answer."""
        found = as_dict(body)
        if self.error(found) and not found.get("choices"):
            return
        self.head(found)
        for choice in dicts(found.get("choices"))[:_MAX_CHOICES]:
            self.error({"error": choice.get("error")})  # OpenRouter: the one it asked failed
            reason = name_of(choice.get("finish_reason"))
            self.finish_reason(reason)
            said = self.answer(choice)
            if reason:
                said["finish_reason"] = reason
            self.reading.output_messages.append(said)

    def answer(self, choice: dict[str, Any]) -> Message:
        """Return the message of a choice."""
        said = chat_message(as_dict(choice.get("message")))
        said["role"] = "assistant"
        return said

    def head(self, body: dict[str, Any]) -> None:
        """Read what a whole answer and each chunk have in common: id, model, usage."""
        reading = self.reading
        reading.response_id = name_of(body.get("id")) or reading.response_id
        reading.response_model = name_of(body.get("model")) or reading.response_model
        if isinstance(body.get("service_tier"), str):
            reading.attributes["openai.response.service_tier"] = name_of(body["service_tier"])
        if isinstance(body.get("system_fingerprint"), str):
            reading.attributes["openai.response.system_fingerprint"] = name_of(body["system_fingerprint"])
        if isinstance(body.get("provider"), str):  # OpenRouter: who really answered
            reading.attributes["spanhouse.proxy.served_by"] = name_of(body["provider"])
        groq = as_dict(body.get("x_groq"))
        for served in (body.get("usage"), groq.get("usage")):
            if isinstance(served, dict) and served:
                usage.merge(self._usage, served)
                reading.usage = usage.openai(self._usage)
        if isinstance(groq.get("error"), str):
            self.error({"error": groq["error"]})

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one chunk."""
        chunk = as_dict(body)
        self.reading.streaming = True
        if self.error(chunk) and not chunk.get("choices"):
            return
        self.head(chunk)
        for position, choice in enumerate(dicts(chunk.get("choices"))):
            self.error({"error": choice.get("error")})
            index = choice.get("index")
            index = index if isinstance(index, int) else position
            state = self._choices.get(index)
            if state is None:
                if len(self._choices) >= _MAX_CHOICES:
                    self.response_cut = True
                    continue
                state = self._choices[index] = _Choice(self.new_text(), self.new_text(), self.new_text())
            if isinstance(choice.get("usage"), dict):  # Moonshot puts it into the choice
                usage.merge(self._usage, choice["usage"])
                self.reading.usage = usage.openai(self._usage)
            if self.delta(state, choice):
                self.token(at_ns)
            reason = name_of(choice.get("finish_reason"))
            if reason:
                state.finish_reason = reason
                self.finish_reason(reason)

    def delta(self, state: _Choice, choice: dict[str, Any]) -> bool:
        """Add what a chunk says to its choice; tell whether it brought content."""
        delta = as_dict(choice.get("delta")) or as_dict(choice.get("message"))
        content = delta.get("content")
        came = False
        if isinstance(content, str):
            came = state.text.add(content)
        elif content:
            for part in parts_of(content):
                kept = state.reasoning if part["type"] == "reasoning" else state.text
                came = kept.add(part.get("content")) or came
        came = state.reasoning.add(delta.get("reasoning_content") or delta.get("reasoning")) or came
        came = state.text.add(delta.get("refusal")) or came
        audio = as_dict(delta.get("audio"))
        if audio:
            state.audio.add(audio.get("transcript"))
            came = came or bool(audio.get("data") or audio.get("transcript"))
            if not any(part.get("type") == "blob" and part.get("modality") == "audio" for part in state.extra):
                state.extra.append(blob_part("audio", "", None))
        for image in dicts(delta.get("images"))[: _MAX_IMAGES - len(state.extra)]:
            state.extra.append(self.keep(part_of(image)))
            came = True
        calls = dicts(delta.get("tool_calls"))
        legacy = as_dict(delta.get("function_call"))
        if legacy:
            calls = [*calls, {"index": 0, "function": legacy}]
        for position, call in enumerate(calls):
            came = self._call(state, call, position) or came
        return came

    def _call(self, state: _Choice, call: dict[str, Any], position: int) -> bool:
        index = call.get("index")
        if not isinstance(index, int):
            # Engines that leave the index out send each call whole, with an id of its own.
            index = len(state.calls) if call.get("id") else max(state.calls, default=position)
        known = state.calls.get(index)
        if known is None:
            if len(state.calls) >= _MAX_CALLS:
                self.response_cut = True
                return False
            known = state.calls[index] = _Call(self.new_text())
        source = as_dict(call.get("function")) or as_dict(call.get("custom"))
        known.id = known.id or name_of(call.get("id"))
        known.name = known.name or name_of(source.get("name"))
        arguments = source.get("arguments", source.get("input"))
        return known.arguments.add(arguments) or bool(source.get("name"))

    def finish(self) -> None:
        """Put the choices of a stream together."""
        for _, state in sorted(self._choices.items()):
            parts: list[Part] = []
            if state.reasoning:
                parts.append(reasoning_part(self.text_of(state.reasoning)))
            if state.text:
                parts.append(text_part(self.text_of(state.text)))
            heard = {"transcript": self.text_of(state.audio)} if state.audio else {}
            parts += [{**part, **heard} if part.get("modality") == "audio" else part for part in state.extra]
            calls = [call for _, call in sorted(state.calls.items())]
            parts += [tool_call_part(call.id, call.name, self.text_of(call.arguments)) for call in calls]
            self.reading.output_messages.append(message(state.role, parts, state.finish_reason))


class Completions(ChatCompletions):
    """``/completions`` and fill-in-the-middle: a prompt, answered by ``choices[].text``."""

    def conversation(self, body: dict[str, Any]) -> None:
        """Read the prompt: a text, several, or token ids (which are only counted)."""
        prompt = body.get("prompt")
        texts = prompt if isinstance(prompt, list) else [prompt]
        if texts and all(isinstance(item, int) for item in texts):
            texts = [f"[{len(texts)} token ids]"]
        for text in texts[: self.limits.messages]:
            if isinstance(text, list):
                text = f"[{len(text)} token ids]"
            if isinstance(text, str) and text:
                self.reading.input_messages.append(message("user", [text_part(text)]))
        suffix = body.get("suffix")
        if isinstance(suffix, str) and suffix:
            self.reading.input_messages.append(message("user", [{"type": "suffix", "content": suffix}]))

    def answer(self, choice: dict[str, Any]) -> Message:
        """Return the text of a choice as a message."""
        text = choice.get("text")
        if isinstance(text, str):
            return message("assistant", [text_part(text)])
        return super().answer(choice)

    def delta(self, state: _Choice, choice: dict[str, Any]) -> bool:
        """Add the text of a chunk."""
        return state.text.add(choice.get("text")) if "text" in choice else super().delta(state, choice)
