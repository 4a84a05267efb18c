"""Anthropic's Messages, also as Vertex AI and Bedrock pass them on."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import tool_definitions
from spanhouse_collector.parse.content import (
    Text,
    as_dict,
    blob_part,
    dicts,
    file_part,
    message,
    modality_of,
    name_of,
    opened,
    reasoning_part,
    text_part,
    tool_call_part,
    tool_response_part,
    turns,
    url_part,
)
from spanhouse_collector.parse.contract import Limits, Part
from spanhouse_collector.parse.endpoints import Endpoint

_MAX_BLOCKS = 1024
_DELTA_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


class Messages(Api):
    """``/v1/messages``: content blocks, streamed block by block; usage is cumulative."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._blocks: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, Text] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason = ""
        self._streamed = False

    def request(self, body: dict[str, Any]) -> None:
        """Read model, parameters, system prompt, messages and tools."""
        reading = self.reading
        reading.request_model = name_of(body.get("model")) or reading.request_model
        reading.streaming = reading.streaming or body.get("stream") is True
        for name in ("temperature", "top_p", "top_k", "max_tokens"):
            self.parameter(name, body.get(name))
        self.stop_sequences(body.get("stop_sequences"))
        effort = as_dict(body.get("output_config")).get("effort")
        self.parameter("reasoning.level", effort, (str,))
        reading.system_instructions = parts_of(body.get("system"))
        reading.input_messages = [
            made
            for item in dicts(body.get("messages"))
            for made in turns(item.get("role"), parts_of(item.get("content")))
        ]
        reading.tool_definitions = tool_definitions(body.get("tools"))
        reading.user_id = name_of(as_dict(body.get("metadata")).get("user_id"))

    def document(self, body: Any) -> None:
        """Read a whole answer."""
        found = as_dict(body)
        if self.error(found):
            return
        self._head(found)
        self._stop(found.get("stop_reason"))
        parts = parts_of(found.get("content"))
        if parts or self._stop_reason:
            self.reading.output_messages = [message("assistant", parts, self._stop_reason)]

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event by the type inside it."""
        found = as_dict(body)
        self.reading.streaming = self._streamed = True
        kind = name_of(found.get("type")) or name
        if kind == "message_start":
            self._head(as_dict(found.get("message")))
        elif kind == "content_block_start":
            self._start(found.get("index"), as_dict(found.get("content_block")), at_ns)
        elif kind == "content_block_delta":
            self._delta(found.get("index"), as_dict(found.get("delta")), at_ns)
        elif kind == "message_delta":
            self._served(found.get("usage"))
            self._stop(as_dict(found.get("delta")).get("stop_reason"))
        elif kind == "error" or found.get("error"):
            self.error(found)

    def finish(self) -> None:
        """Put the blocks of a stream together."""
        if not self._streamed:
            return
        parts = []
        for index in sorted(self._blocks):
            block = self._blocks[index]
            text = self._texts.get(index)
            if text:
                _fill(block, self.text_of(text))
            parts.append(part_of(block))
        if parts or self._stop_reason:
            self.reading.output_messages = [message("assistant", parts, self._stop_reason)]

    def _head(self, found: dict[str, Any]) -> None:
        reading = self.reading
        reading.response_id = name_of(found.get("id")) or reading.response_id
        reading.response_model = name_of(found.get("model")) or reading.response_model
        self._served(found.get("usage"))

    def _served(self, served: Any) -> None:
        if isinstance(served, dict) and served:
            usage.merge(self._usage, served)
            self.reading.usage = usage.anthropic(self._usage)
            if isinstance(self._usage.get("service_tier"), str):
                self.reading.attributes["anthropic.response.service_tier"] = name_of(self._usage["service_tier"])

    def _stop(self, reason: Any) -> None:
        if name_of(reason):
            self._stop_reason = name_of(reason)
            self.finish_reason(reason)

    def _start(self, index: Any, block: dict[str, Any], at_ns: int) -> None:
        if not isinstance(index, int) or (index not in self._blocks and len(self._blocks) >= _MAX_BLOCKS):
            self.response_cut = True
            return
        self._blocks[index] = self.keep(block)
        self._texts[index] = self.new_text()
        begun = self._texts[index].add(block.get("text") or block.get("thinking"))
        if begun or block.get("type") in ("tool_use", "server_tool_use"):
            self.token(at_ns)

    def _delta(self, index: Any, delta: dict[str, Any], at_ns: int) -> None:
        key = _DELTA_TEXTS.get(name_of(delta.get("type")))
        if key is None or not isinstance(index, int):
            return
        if index not in self._blocks:  # the start got lost: what the delta is says what the block was
            kind = {"text": "text", "thinking": "thinking", "partial_json": "tool_use"}[key]
            self._start(index, {"type": kind}, at_ns)
        text = self._texts.get(index)
        if text is not None and text.add(delta.get(key)):
            self.token(at_ns)


def _fill(block: dict[str, Any], text: str) -> None:
    kind = block.get("type")
    if kind == "thinking":
        block["thinking"] = text
    elif kind == "text":
        block["text"] = text
    else:
        block["input"] = text


def parts_of(content: Any) -> list[Part]:
    """Return the parts of a message's content: text, or a list of blocks."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    return [part_of(block) for block in dicts(content)]


def part_of(block: dict[str, Any]) -> Part:
    """Return one content block as a part; unknown kinds stay as they are."""
    kind = name_of(block.get("type"))
    if kind == "text" and isinstance(block.get("text"), str):
        return text_part(block["text"])
    if kind == "thinking":
        return reasoning_part(block["thinking"] if isinstance(block.get("thinking"), str) else "")
    if kind == "redacted_thinking":
        return {"type": "reasoning", "content": "", "redacted": True}
    if kind == "tool_use":
        return tool_call_part(block.get("id"), block.get("name"), block.get("input"))
    if kind == "tool_result":
        return tool_response_part(block.get("tool_use_id"), _result(block.get("content")))
    if kind in ("image", "document"):
        return _media(kind, as_dict(block.get("source")))
    if kind in ("server_tool_use", "mcp_tool_use"):
        call = {"type": name_of(block.get("name")), "input": opened(block.get("input"))}
        return {
            "type": "server_tool_call",
            "id": name_of(block.get("id")),
            "name": call["type"],
            "server_tool_call": call,
        }
    if kind.endswith("_tool_result"):
        return {
            "type": "server_tool_call_response",
            "id": name_of(block.get("tool_use_id")),
            "server_tool_call_response": {"type": kind.removesuffix("_result"), "content": block.get("content")},
        }
    return dict(block)


def _result(content: Any) -> Any:
    parts = parts_of(content)
    if parts and all(part.get("type") == "text" for part in parts):
        return "\n".join(str(part["content"]) for part in parts)
    return parts if isinstance(content, list) else content


def _media(kind: str, source: dict[str, Any]) -> Part:
    media_type = source.get("media_type")
    modality = "image" if kind == "image" else modality_of(media_type)
    match source.get("type"):
        case "url":
            return url_part(modality, source.get("url"))
        case "file":
            return file_part(modality, source.get("file_id"))
        case "text":
            return text_part(source["data"] if isinstance(source.get("data"), str) else "")
        case "content":
            return {"type": "document", "content": _result(source.get("content"))}
    return blob_part(modality, media_type, source.get("data"))
