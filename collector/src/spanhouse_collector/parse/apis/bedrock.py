"""Amazon Bedrock: the Converse API, and models invoked in their makers' own formats."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.anthropic import Messages
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import tool_definitions
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
    turns,
)
from spanhouse_collector.parse.contract import Headers, Limits, Part
from spanhouse_collector.parse.endpoints import Endpoint

_MAX_BLOCKS = 1024
_MEDIA = ("image", "document", "video", "audio")
_METRICS = "amazon-bedrock-invocationMetrics"


class Converse(Api):
    """``/converse`` and ``/converse-stream``."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._blocks: dict[int, tuple[str, dict[str, Any], Text]] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason = ""

    def request(self, body: dict[str, Any]) -> None:
        """Read configuration, system prompt, messages and tools; the model is in the URL."""
        config = as_dict(body.get("inferenceConfig"))
        names = {"temperature": "temperature", "topP": "top_p", "maxTokens": "max_tokens", "topK": "top_k"}
        for theirs, ours in names.items():
            self.parameter(ours, config.get(theirs))
        self.stop_sequences(config.get("stopSequences"))
        reading = self.reading
        reading.system_instructions = parts_of(body.get("system"))
        reading.input_messages = [
            made
            for item in dicts(body.get("messages"))
            for made in turns(item.get("role"), parts_of(item.get("content")))
        ]
        reading.tool_definitions = tool_definitions(
            [tool for tool in dicts(as_dict(body.get("toolConfig")).get("tools")) if "toolSpec" in tool]
        )
        guard = name_of(as_dict(body.get("guardrailConfig")).get("guardrailIdentifier"))
        if guard:
            reading.attributes["aws.bedrock.guardrail.id"] = guard

    def response_headers(self, headers: Headers) -> None:
        """Read the request id, which is all the identity an answer has."""
        for name, value in headers:
            if name.lower() == "x-amzn-requestid":
                self.reading.response_id = name_of(value)

    def document(self, body: Any) -> None:
        """Read a whole answer."""
        found = as_dict(body)
        if self.error(found):
            return
        self._served(found.get("usage"))
        self._stop(found.get("stopReason"))
        said = as_dict(as_dict(found.get("output")).get("message"))
        parts = parts_of(said.get("content"))
        if parts or self._stop_reason:
            self.reading.output_messages = [message("assistant", parts, self._stop_reason)]

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event by its frame's type."""
        found = as_dict(body)
        self.reading.streaming = True
        index = found.get("contentBlockIndex")
        if name == "contentBlockStart":
            start = as_dict(as_dict(found.get("start")).get("toolUse"))
            if start and isinstance(index, int):
                self._block(index, "toolUse", self.keep(start))
                self.token(at_ns)
        elif name == "contentBlockDelta":
            self._delta(index if isinstance(index, int) else 0, as_dict(found.get("delta")), at_ns)
        elif name == "messageStop":
            self._stop(found.get("stopReason"))
        elif name == "metadata":
            self._served(found.get("usage"))
        elif name == "error":
            self.error(found)

    def finish(self) -> None:
        """Put the blocks of a stream together."""
        if not self._blocks:
            return
        parts: list[Part] = []
        for _, (kind, head, kept) in sorted(self._blocks.items()):
            text = self.text_of(kept)
            if kind == "toolUse":
                parts.append(tool_call_part(head.get("toolUseId"), head.get("name"), text))
            else:
                parts.append(text_part(text) if kind == "text" else reasoning_part(text))
        self.reading.output_messages = [message("assistant", parts, self._stop_reason)]

    def _block(self, index: int, kind: str, head: dict[str, Any]) -> Text:
        known = self._blocks.get(index)
        if known is None:
            known = (kind, head, self.new_text())
            if len(self._blocks) < _MAX_BLOCKS:
                self._blocks[index] = known
            else:
                self.response_cut = True
        return known[2]

    def _delta(self, index: int, delta: dict[str, Any], at_ns: int) -> None:
        reasoning = as_dict(delta.get("reasoningContent"))
        if isinstance(delta.get("text"), str):
            came = self._block(index, "text", {}).add(delta["text"])
        elif reasoning:
            came = self._block(index, "reasoning", {}).add(reasoning.get("text"))
        else:
            came = self._block(index, "toolUse", {}).add(as_dict(delta.get("toolUse")).get("input"))
        if came:
            self.token(at_ns)

    def _served(self, served: Any) -> None:
        if isinstance(served, dict) and served:
            usage.merge(self._usage, served)
            self.reading.usage = usage.bedrock(self._usage)

    def _stop(self, reason: Any) -> None:
        if name_of(reason):
            self._stop_reason = name_of(reason)
            self.finish_reason(reason)


class Invoke(Api):
    """``/invoke`` and ``/invoke-with-response-stream``: the body is the model maker's.

    Claude is read as Anthropic's Messages and Nova as Converse. Of the others prompt and text are read
    by the names their makers use; usage comes from the headers or the closing metrics for all.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._inner: Api | None = None
        if "anthropic" in endpoint.model or "claude" in endpoint.model:
            self._inner = Messages(endpoint, limits)
        elif "nova" in endpoint.model and endpoint.kind == "llm":
            self._inner = Converse(endpoint, limits)
        if self._inner is not None:
            self._inner.reading = self.reading
        self._text = self.new_text()
        self._reason = ""
        self._headers: dict[str, str] = {}

    def request(self, body: dict[str, Any]) -> None:
        """Read the request as its model takes it."""
        if self._inner is not None:
            self._inner.request(body)
            return
        config = as_dict(body.get("textGenerationConfig")) or body
        for theirs, ours in (
            ("temperature", "temperature"),
            ("top_p", "top_p"),
            ("topP", "top_p"),
            ("max_gen_len", "max_tokens"),
            ("max_tokens", "max_tokens"),
            ("maxTokenCount", "max_tokens"),
        ):
            self.parameter(ours, config.get(theirs))
        for key in ("prompt", "inputText", "query", "texts"):
            given = body.get(key)
            for text in given if isinstance(given, list) else [given]:
                if isinstance(text, str) and text:
                    self.reading.input_messages.append(message("user", [text_part(text)]))

    def response_headers(self, headers: Headers) -> None:
        """Keep the counts and the id that Bedrock puts into headers."""
        self._headers = {name.lower(): value for name, value in headers}
        self.reading.response_id = name_of(self._headers.get("x-amzn-requestid", ""))

    def document(self, body: Any) -> None:
        """Read a whole answer."""
        found = as_dict(body)
        if self._inner is not None:
            self._inner.document(found)
        elif not self.error(found):
            self._say(found, 0)

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event; Nova names its events by their only key."""
        found = as_dict(body)
        self.reading.streaming = True
        if self._inner is None:
            if not self.error(found):
                self._say(found, at_ns)
        elif isinstance(self._inner, Converse) and not name:
            for key, value in found.items():
                self._inner.event(key, value, at_ns)
        else:
            self._inner.event(name, found, at_ns)
        metrics = as_dict(found.get(_METRICS))
        if metrics and not self.reading.usage.known:
            self.reading.usage = usage.bedrock_metrics(metrics)

    def finish(self) -> None:
        """Put the answer together; take the headers' counts where the body had none."""
        if self._inner is not None:
            self._inner.finish()
            self.response_cut = self.response_cut or self._inner.response_cut
        if self._text:
            said = message("assistant", [text_part(self.text_of(self._text))], self._reason)
            self.reading.output_messages = [said]
        if not self.reading.usage.known:
            counts = {
                "inputTokenCount": self._headers.get("x-amzn-bedrock-input-token-count"),
                "outputTokenCount": self._headers.get("x-amzn-bedrock-output-token-count"),
                "cacheReadInputTokenCount": self._headers.get("x-amzn-bedrock-cache-read-input-token-count"),
                "cacheWriteInputTokenCount": self._headers.get("x-amzn-bedrock-cache-write-input-token-count"),
            }
            if any(counts.values()):
                self.reading.usage = usage.bedrock_metrics(counts)
        if self.reading.kind != "llm":
            self.reading.usage.output_tokens = None

    def _say(self, found: dict[str, Any], at_ns: int) -> None:
        """Add the text of an answer or event in the names of Llama, Titan, Mistral and Cohere."""
        sources = [found, *dicts(found.get("results")), *dicts(found.get("outputs")), *dicts(found.get("generations"))]
        for source in sources:
            for key in ("generation", "outputText", "text", "completion"):
                if self._text.add(source.get(key)) and at_ns:
                    self.token(at_ns)
            reason = next((source[key] for key in _REASONS if name_of(source.get(key))), "")
            if reason:
                self._reason = name_of(reason)
                self.finish_reason(reason)
        counts = {"inputTokens": found.get("prompt_token_count"), "outputTokens": found.get("generation_token_count")}
        if counts["inputTokens"] is None:
            counts["inputTokens"] = found.get("inputTextTokenCount")
        if counts["inputTokens"] is not None:
            if counts["outputTokens"] is None and dicts(found.get("results")):
                counts["outputTokens"] = dicts(found["results"])[0].get("tokenCount")
            read = usage.bedrock(counts)
            # Llama says the prompt's count only in its first event.
            if self.reading.usage.input_tokens is None or not at_ns:
                self.reading.usage = read
        elif counts["outputTokens"] is not None and self.reading.usage.known:
            self.reading.usage.output_tokens = usage.bedrock(counts).output_tokens


_REASONS = ("stop_reason", "completionReason", "finish_reason")


def parts_of(content: Any) -> list[Part]:
    """Return the parts of a list of Converse content blocks."""
    return [part_of(block) for block in dicts(content) if "cachePoint" not in block]


def part_of(block: dict[str, Any]) -> Part:
    """Return one block, named by its only key; unknown ones stay as they are."""
    if isinstance(block.get("text"), str):
        return text_part(block["text"])
    call = as_dict(block.get("toolUse"))
    if call:
        return tool_call_part(call.get("toolUseId"), call.get("name"), call.get("input"))
    answer = as_dict(block.get("toolResult"))
    if answer:
        return tool_response_part(answer.get("toolUseId"), _result(answer.get("content")))
    if "reasoningContent" in block:
        text = as_dict(as_dict(block["reasoningContent"]).get("reasoningText")).get("text")
        return reasoning_part(text if isinstance(text, str) else "")
    for modality in _MEDIA:
        media = as_dict(block.get(modality))
        if media:
            kind = f"{modality}/{name_of(media.get('format'))}" if modality != "document" else ""
            return blob_part(modality, kind, as_dict(media.get("source")).get("bytes"))
    return {"type": "unknown", "content": block}


def _result(content: Any) -> Any:
    blocks = dicts(content)
    if len(blocks) == 1 and "json" in blocks[0]:
        return blocks[0]["json"]
    parts = parts_of(blocks)
    if parts and all(part["type"] == "text" for part in parts):
        return "\n".join(str(part["content"]) for part in parts)
    return parts
