"""OpenAI's Responses: items in, items out, streamed as named events."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import SYSTEM_ROLES, joined, output_type, parts_of, tool_definitions
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
    tool_response_part,
)
from spanhouse_collector.parse.contract import Limits, Message, Part
from spanhouse_collector.parse.endpoints import Endpoint

TERMINAL = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"}
)
_MAX_ITEMS = 512
_TEXT_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.code_interpreter_call_code.delta": "arguments",
    "response.shell_call_command.delta": "arguments",
    "response.audio.transcript.delta": "text",
}
#: Content that comes as data, not as text.
_OTHER_DELTAS = frozenset({"response.audio.delta", "response.image_generation_call.partial_image"})
_OUTPUTS = ("output", "outputs", "result", "results")


class Responses(Api):
    """``/responses``. The terminal event carries the whole answer; deltas serve streams that break off."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, Text] = {}
        self.terminal = False

    def request(self, body: dict[str, Any]) -> None:
        """Read model, parameters, instructions, input items and tools."""
        reading = self.reading
        reading.request_model = name_of(body.get("model")) or reading.request_model
        reading.streaming = reading.streaming or body.get("stream") is True
        for name in ("temperature", "top_p"):
            self.parameter(name, body.get(name))
        self.parameter("max_tokens", body.get("max_output_tokens"))
        self.parameter("reasoning.level", as_dict(body.get("reasoning")).get("effort"), (str,))
        self.parameter("previous_response.id", body.get("previous_response_id"), (str,))
        formatted = output_type(as_dict(body.get("text")).get("format"))
        if formatted:
            reading.attributes["gen_ai.output.type"] = formatted
        if isinstance(body.get("service_tier"), str):
            reading.attributes["openai.request.service_tier"] = name_of(body["service_tier"])
        reading.attributes["openai.api.type"] = "responses"
        conversation = body.get("conversation")
        talk = name_of(conversation.get("id") if isinstance(conversation, dict) else conversation)
        if talk:
            reading.attributes["gen_ai.conversation.id"] = talk
        reading.user_id = name_of(body.get("user")) or name_of(body.get("safety_identifier"))
        instructions = body.get("instructions")
        if isinstance(instructions, str) and instructions:
            reading.system_instructions = [text_part(instructions)]
        given = body.get("input")
        if isinstance(given, str):
            reading.input_messages = [message("user", [text_part(given)])] if given else []
        else:
            reading.input_messages = item_messages(given)
        reading.tool_definitions = tool_definitions(body.get("tools"))

    def document(self, body: Any) -> None:
        """Read a whole response object."""
        found = as_dict(body)
        if "output" not in found and "status" not in found:
            self.error(found)
            return
        self.whole(found)

    def whole(self, found: dict[str, Any]) -> None:
        """Read a response object, also the one a terminal event carries."""
        reading = self.reading
        self.head(found)
        self.error(found)
        served = found.get("usage")
        if isinstance(served, dict) and served:
            reading.usage = usage.openai(served)
        output = dicts(found.get("output"))
        if output:
            self._items, self._texts = {}, {}
            reading.output_messages = self._answer(output)
        status = name_of(found.get("status"))
        reason = name_of(as_dict(found.get("incomplete_details")).get("reason"))
        reason = reason or {"completed": "stop", "in_progress": "", "queued": ""}.get(status, status)
        if status == "completed" and any(item.get("type") == "function_call" for item in output):
            reason = "tool_call"
        self.finish_reason(reason)

    def head(self, found: dict[str, Any]) -> None:
        """Read what every response object says: id, model, tier."""
        reading = self.reading
        reading.response_id = name_of(found.get("id")) or reading.response_id
        reading.response_model = name_of(found.get("model")) or reading.response_model
        if isinstance(found.get("service_tier"), str):
            reading.attributes["openai.response.service_tier"] = name_of(found["service_tier"])

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event; the type inside counts, the SSE name only where there is none."""
        found = as_dict(body)
        self.reading.streaming = True
        kind = name_of(found.get("type")) or name
        if kind in TERMINAL:
            self.terminal = True
            self.whole(as_dict(found.get("response")))
        elif kind in ("response.created", "response.in_progress", "response.queued"):
            self.head(as_dict(found.get("response")))
        elif kind == "error" or found.get("error"):
            self.error(found if isinstance(found.get("error"), dict) else {"error": found})
        elif kind in _TEXT_DELTAS:
            if self._text(found.get("output_index")).add(found.get("delta")):
                self.token(at_ns)
        elif kind in _OTHER_DELTAS:
            self.token(at_ns)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            index, item = found.get("output_index"), found.get("item")
            if isinstance(index, int) and isinstance(item, dict) and (index in self._items or self._room()):
                self._items[index] = self.keep(item)
                if kind.endswith("done"):
                    self._texts.pop(index, None)
                elif item.get("type") in ("function_call", "custom_tool_call", "mcp_call"):
                    self.token(at_ns)  # the name of the tool is generated content

    def _room(self) -> bool:
        self.response_cut = self.response_cut or len(self._items) >= _MAX_ITEMS
        return len(self._items) < _MAX_ITEMS

    def _text(self, index: Any) -> Text:
        place = index if isinstance(index, int) else 0
        known = self._texts.get(place)
        if known is None:
            known = self.new_text()
            if len(self._texts) < _MAX_ITEMS:
                self._texts[place] = known
        return known

    def finish(self) -> None:
        """Put together the items of a stream that ended without its terminal event."""
        if not self._items and not self._texts:
            return
        items = []
        for index in sorted(self._items.keys() | self._texts.keys()):
            item = dict(self._items.get(index) or {"type": "message", "role": "assistant"})
            text = self._texts.get(index)
            if text:
                _fill(item, self.text_of(text))
            items.append(item)
        self.reading.output_messages = self._answer(items)

    def _answer(self, items: list[dict[str, Any]]) -> list[Message]:
        """Return the output as one assistant message: its items are steps of one answer."""
        parts = [part for made in item_messages(items) for part in made["parts"]]
        return [message("assistant", parts)] if parts else []


def _fill(item: dict[str, Any], text: str) -> None:
    """Put the text of deltas where its item keeps it."""
    kind = item.get("type")
    if kind == "message":
        item["content"] = [{"type": "output_text", "text": text}]
    elif kind == "reasoning":
        item["summary"] = [{"type": "summary_text", "text": text}]
    elif kind == "custom_tool_call":
        item["input"] = text
    else:
        item["arguments"] = text


def item_messages(items: Any) -> list[Message]:
    """Return the messages that a list of items stands for; one item, one message."""
    return [item_message(item) for item in dicts(items)]


def item_message(item: dict[str, Any]) -> Message:
    """Return one item as a message."""
    kind = name_of(item.get("type")) or "message"
    if kind == "message":
        role = name_of(item.get("role")) or "user"
        return message("system" if role in SYSTEM_ROLES else role, parts_of(item.get("content")))
    if kind.endswith("_call_output"):
        output = item.get("output", item.get("tools"))
        return message("tool", [tool_response_part(item.get("call_id"), joined(output) or output)])
    return message("assistant", _assistant_parts(kind, item))


def _assistant_parts(kind: str, item: dict[str, Any]) -> list[Part]:
    if kind == "reasoning":
        texts = [joined(item.get("summary")), joined(item.get("content"))]
        text = "\n".join(text for text in texts if text)
        return [reasoning_part(text)] if text else []
    if kind in ("function_call", "custom_tool_call", "mcp_call"):
        arguments = item.get("arguments", item.get("input"))
        parts = [tool_call_part(item.get("call_id") or item.get("id"), item.get("name"), arguments)]
        if item.get("output") is not None:
            parts.append(tool_response_part(item.get("call_id") or item.get("id"), item["output"]))
        return parts
    if kind == "image_generation_call":
        return [blob_part("image", f"image/{name_of(item.get('output_format')) or 'png'}", item.get("result"))]
    if kind == "compaction":
        return [{"type": "compaction", "id": name_of(item.get("id"))}]
    if kind.endswith("_call"):
        details = {key: value for key, value in item.items() if key not in ("id", "type", "status", *_OUTPUTS)}
        call = {"type": kind.removesuffix("_call"), **details}
        return [{"type": "server_tool_call", "id": name_of(item.get("id")), "name": kind, "server_tool_call": call}]
    return [dict(item)]
