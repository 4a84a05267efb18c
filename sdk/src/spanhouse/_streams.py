"""Gathers, within bounds, what a generator yields, and makes one output of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanhouse import _attributes as a
from spanhouse._messages import field
from spanhouse._responses import response_attributes
from spanhouse._serialize import plain, to_json, to_text

MAX_ITEMS = 2000
MAX_CHARACTERS = 256 * 1024


class Collected:
    """The items of one generator. Texts are joined; chunks of model streams are put together again."""

    def __init__(self) -> None:
        self.count = 0
        self._items: list[Any] = []
        self._characters = 0
        self._all_text = True
        self._chunks: _Chunks | None = None

    def add(self, item: Any) -> None:
        """Take one yielded item; past the bounds it is only counted. Never raises."""
        self.count += 1
        try:
            if isinstance(item, str):
                if self._characters < MAX_CHARACTERS:
                    self._characters += len(item)
                    self._items.append(item)
                return
            self._all_text = False
            if self._chunks is None and _is_chunk(item):
                self._chunks = _Chunks()
            if self._chunks is not None:
                self._chunks.add(item)
            elif len(self._items) < MAX_ITEMS:
                # Reduced now: a consumer may change or close what it was handed.
                self._items.append(plain(item))
        except Exception:
            self._all_text = False
            self._items.append("<unserialisable>")

    def text(self) -> str | None:
        """Return the output as text or JSON, ``None`` when nothing was yielded."""
        if self.count == 0:
            return None
        if self._all_text:
            return to_text("".join(self._items))
        return to_json(self._items + (["…"] if self.count > len(self._items) else []))

    def model_attributes(self, capture: bool) -> dict[str, Any]:
        """Return output messages, model and usage, for the generator of a model call."""
        if self._chunks is not None:
            return response_attributes(self._chunks.response(), capture)
        if self.count == 0 or not capture:
            return {}
        if self._all_text:
            return {a.OUTPUT_MESSAGES: to_json([_assistant("".join(self._items))])}
        return {a.OUTPUT: to_text(self._items)}


def _assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "parts": [{"type": "text", "content": text}]}


def _is_chunk(item: Any) -> bool:
    if field(item, "object") == "chat.completion.chunk":
        return True
    kind = field(item, "type")
    return isinstance(kind, str) and kind in ("message_start", "response.created")


class _Chunks:
    """Puts OpenAI chat chunks, OpenAI response events or Anthropic events together to one answer."""

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._text: dict[int, list[str]] = {}
        self._calls: dict[tuple[int, int], dict[str, Any]] = {}
        self._reasons: dict[int, str] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._stop_reason: str | None = None
        self._final: Any = None
        self._characters = 0

    def add(self, chunk: Any) -> None:
        kind = field(chunk, "type")
        if isinstance(kind, str) and kind.startswith("response."):
            if field(chunk, "response") is not None:
                # The closing event carries the complete answer.
                self._final = field(chunk, "response")
        elif isinstance(kind, str):
            self._anthropic(kind, chunk)
        else:
            self._openai(chunk)

    def _bounded(self, text: Any) -> str:
        if not isinstance(text, str) or self._characters >= MAX_CHARACTERS:
            return ""
        self._characters += len(text)
        return text

    def _openai(self, chunk: Any) -> None:
        for name in ("model", "id"):
            if isinstance(field(chunk, name), str):
                self._answer[name] = field(chunk, name)
        if field(chunk, "usage") is not None:
            self._answer["usage"] = plain(field(chunk, "usage"))
        for choice in field(chunk, "choices", ()):
            index = field(choice, "index", 0)
            delta = field(choice, "delta")
            self._text.setdefault(index, []).append(self._bounded(field(delta, "content")))
            for call in field(delta, "tool_calls", ()):
                self._openai_call(index, call)
            if field(choice, "finish_reason"):
                self._reasons[index] = str(field(choice, "finish_reason"))

    def _openai_call(self, index: int, call: Any) -> None:
        known = self._calls.setdefault(
            (index, field(call, "index", 0)), {"id": None, "function": {"name": "", "arguments": ""}}
        )
        known["id"] = field(call, "id") or known["id"]
        function = field(call, "function")
        known["function"]["name"] += field(function, "name", "")
        known["function"]["arguments"] += self._bounded(field(function, "arguments"))

    def _anthropic(self, kind: str, event: Any) -> None:
        if kind == "message_start":
            start = field(event, "message")
            self._answer.update(model=field(start, "model"), id=field(start, "id"))
            self._merge_usage(field(start, "usage"))
        elif kind == "content_block_start":
            block = plain(field(event, "content_block"))
            self._blocks[field(event, "index", 0)] = (
                {**block, "_json": ""} if isinstance(block, Mapping) else {"_json": ""}
            )
        elif kind == "content_block_delta":
            block = self._blocks.setdefault(field(event, "index", 0), {"type": "text", "text": "", "_json": ""})
            delta = field(event, "delta")
            for name in ("text", "thinking"):
                if isinstance(field(delta, name), str):
                    block[name] = block.get(name, "") + self._bounded(field(delta, name))
            block["_json"] += self._bounded(field(delta, "partial_json"))
        elif kind == "message_delta":
            self._stop_reason = field(field(event, "delta"), "stop_reason") or self._stop_reason
            self._merge_usage(field(event, "usage"))

    def _merge_usage(self, usage: Any) -> None:
        dumped = plain(usage)
        if isinstance(dumped, Mapping):
            # The closing event repeats only some counts, and not as nulls.
            self._usage.update({name: count for name, count in dumped.items() if count is not None})

    def response(self) -> Any:
        """Return the answer in the form the library gives it unstreamed."""
        if self._final is not None:
            return self._final
        if self._blocks or self._stop_reason:
            content = []
            for _, block in sorted(self._blocks.items()):
                partial = block.pop("_json")
                content.append({**block, "input": partial} if partial else block)
            reason = self._stop_reason or "incomplete"
            return {
                **self._answer,
                "role": "assistant",
                "content": content,
                "stop_reason": reason,
                "usage": self._usage or None,
            }
        choices = []
        for index, texts in sorted(self._text.items()):
            calls = [call for (owner, _), call in sorted(self._calls.items()) if owner == index]
            source = {"role": "assistant", "content": "".join(texts), "tool_calls": calls}
            choices.append({"index": index, "message": source, "finish_reason": self._reasons.get(index)})
        return {**self._answer, "choices": choices}
