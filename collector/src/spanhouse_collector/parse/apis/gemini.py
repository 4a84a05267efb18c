"""Gemini's ``generateContent`` and ``embedContent``, on Google AI and Vertex AI alike."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.content import (
    Text,
    as_dict,
    blob_part,
    dicts,
    file_part,
    message,
    modality_of,
    name_of,
    reasoning_part,
    text_part,
    tool_call_part,
    tool_response_part,
)
from spanhouse_collector.parse.contract import Limits, Message, Part
from spanhouse_collector.parse.endpoints import Endpoint

_PARAMETERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "candidateCount": "choice.count",
}
_MAX_CANDIDATES = 64
_MAX_PARTS = 1024


class _Candidate:
    """One candidate put together from chunks: runs of text and of thoughts, and other parts between."""

    def __init__(self) -> None:
        self.parts: list[Part | tuple[str, Text]] = []
        self.finish_reason = ""


class GenerateContent(Api):
    """``:generateContent`` and ``:streamGenerateContent``, whose chunks are whole small answers."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._candidates: dict[int, _Candidate] = {}
        self._usage: dict[str, Any] = {}

    def request(self, body: dict[str, Any]) -> None:
        """Read configuration, system instruction, contents and tools; the model is in the URL."""
        reading = self.reading
        config = as_dict(_either(body, "generationConfig", "generation_config"))
        for theirs, ours in _PARAMETERS.items():
            value = config.get(theirs)
            if not (theirs == "candidateCount" and value == 1):
                self.parameter(ours, value)
        self.stop_sequences(config.get("stopSequences"))
        thinking = as_dict(config.get("thinkingConfig"))
        self.parameter("reasoning.level", thinking.get("thinkingLevel"), (str,))
        if config.get("responseMimeType") == "application/json":
            reading.attributes["gen_ai.output.type"] = "json"
        system = _either(body, "systemInstruction", "system_instruction")
        reading.system_instructions = [text_part(system)] if isinstance(system, str) else parts_of(as_dict(system))
        contents = body.get("contents")
        reading.input_messages = [content_message(item) for item in dicts(contents or [])]
        if isinstance(contents, dict):
            reading.input_messages = [content_message(contents)]
        for tool in dicts(body.get("tools")):
            declared = dicts(_either(tool, "functionDeclarations", "function_declarations"))
            reading.tool_definitions += [_tool(item) for item in declared]
            reading.tool_definitions += [
                {"type": key, "name": key}
                for key in tool
                if key not in ("functionDeclarations", "function_declarations")
            ]

    def document(self, body: Any) -> None:
        """Read a whole answer; a stream without ``alt=sse`` that was taken as one comes as a list."""
        for chunk in dicts(body) if isinstance(body, list) else [as_dict(body)]:
            self._chunk(chunk)

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one chunk of a stream."""
        self.reading.streaming = True
        if self._chunk(as_dict(body)):
            self.token(at_ns)

    def _chunk(self, chunk: dict[str, Any]) -> bool:
        """Add one chunk; tell whether it brought content."""
        reading = self.reading
        self.error(chunk)
        reading.response_id = name_of(chunk.get("responseId")) or reading.response_id
        reading.response_model = name_of(chunk.get("modelVersion")) or reading.response_model
        served = chunk.get("usageMetadata")
        if isinstance(served, dict) and served:
            usage.merge(self._usage, served)
            reading.usage = usage.gemini(self._usage)
        blocked = as_dict(chunk.get("promptFeedback")).get("blockReason")
        if blocked:
            self.finish_reason(blocked)
        came = False
        for position, item in enumerate(dicts(chunk.get("candidates"))):
            given = item.get("index")
            index = given if isinstance(given, int) else position
            candidate = self._candidates.get(index)
            if candidate is None:
                if len(self._candidates) >= _MAX_CANDIDATES:
                    self.response_cut = True
                    continue
                candidate = self._candidates[index] = _Candidate()
            came = self._parts(candidate, as_dict(item.get("content"))) or came
            if name_of(item.get("finishReason")):
                candidate.finish_reason = name_of(item["finishReason"])
                self.finish_reason(item["finishReason"])
        return came

    def _parts(self, candidate: _Candidate, content: dict[str, Any]) -> bool:
        came = False
        for part in parts_of(content):
            kind = part["type"]
            if kind in ("text", "reasoning") and isinstance(part.get("content"), str):
                last = candidate.parts[-1] if candidate.parts else None
                if not (isinstance(last, tuple) and last[0] == kind):
                    last = (kind, self.new_text())
                    if not self._room(candidate):
                        continue
                    candidate.parts.append(last)
                came = last[1].add(part["content"]) or came
            elif self._room(candidate):
                candidate.parts.append(self.keep(part))
                came = True
        return came

    def _room(self, candidate: _Candidate) -> bool:
        self.response_cut = self.response_cut or len(candidate.parts) >= _MAX_PARTS
        return len(candidate.parts) < _MAX_PARTS

    def finish(self) -> None:
        """Put the candidates together."""
        for _, candidate in sorted(self._candidates.items()):
            parts: list[Part] = []
            for part in candidate.parts:
                if not isinstance(part, tuple):
                    parts.append(part)
                elif part[1]:
                    text = self.text_of(part[1])
                    parts.append(text_part(text) if part[0] == "text" else reasoning_part(text))
            self.reading.output_messages.append(message("assistant", parts, candidate.finish_reason))


class EmbedContent(Api):
    """``:embedContent`` and ``:batchEmbedContents``."""

    def request(self, body: dict[str, Any]) -> None:
        """Read what is to be embedded."""
        requests = dicts(body.get("requests")) or [body]
        for item in requests[: self.limits.messages]:
            parts = parts_of(as_dict(item.get("content")))
            if parts:
                self.reading.input_messages.append(message("user", parts))
        size = requests[0].get("outputDimensionality") or as_dict(requests[0].get("embedContentConfig")).get(
            "outputDimensionality"
        )
        if isinstance(size, int):
            self.reading.attributes["gen_ai.embeddings.dimension.count"] = size

    def document(self, body: Any) -> None:
        """Read usage and the size of the vectors."""
        found = as_dict(body)
        self.error(found)
        vectors = dicts(found.get("embeddings")) or dicts([found.get("embedding")])
        values = vectors[0].get("values") if vectors else None
        if isinstance(values, list):
            self.reading.attributes.setdefault("gen_ai.embeddings.dimension.count", len(values))
        served = found.get("usageMetadata")
        if isinstance(served, dict) and served:
            self.reading.usage = usage.gemini(served)
            self.reading.usage.output_tokens = None


def _either(body: dict[str, Any], one: str, other: str) -> Any:
    return body.get(one, body.get(other))


def content_message(content: dict[str, Any]) -> Message:
    """Return a content as a message; function responses are a tool's."""
    parts = parts_of(content)
    role = {"model": "assistant", "function": "tool"}.get(name_of(content.get("role")), "user")
    if parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"
    return message(role, parts)


def parts_of(content: dict[str, Any]) -> list[Part]:
    """Return the parts of a content."""
    parts = content.get("parts")
    return [part_of(part) for part in dicts([parts] if isinstance(parts, dict) else parts)]


def part_of(part: dict[str, Any]) -> Part:
    """Return one part; kinds are told apart by their only key, unknown ones stay as they are."""
    if isinstance(part.get("text"), str):
        return reasoning_part(part["text"]) if part.get("thought") is True else text_part(part["text"])
    call = as_dict(_either(part, "functionCall", "function_call"))
    if call:
        return tool_call_part(call.get("id"), call.get("name"), call.get("args"))
    answer = as_dict(_either(part, "functionResponse", "function_response"))
    if answer:
        return tool_response_part(answer.get("id") or answer.get("name"), answer.get("response"))
    data = as_dict(_either(part, "inlineData", "inline_data"))
    if data:
        mime_type = _either(data, "mimeType", "mime_type")
        return blob_part(modality_of(mime_type), mime_type, data.get("data"))
    file = as_dict(_either(part, "fileData", "file_data"))
    if file:
        mime_type = _either(file, "mimeType", "mime_type")
        return file_part(modality_of(mime_type), _either(file, "fileUri", "file_uri"), mime_type)
    code = as_dict(part.get("executableCode"))
    if code:
        call = {"type": "code_execution", "code": code.get("code"), "language": code.get("language")}
        return {"type": "server_tool_call", "name": "code_execution", "server_tool_call": call}
    result = as_dict(part.get("codeExecutionResult"))
    if result:
        answer = {"type": "code_execution", "output": result.get("output"), "outcome": result.get("outcome")}
        return {"type": "server_tool_call_response", "server_tool_call_response": answer}
    return {"type": "unknown", "content": part}


def _tool(item: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "function", "name": name_of(item.get("name"))}
    if isinstance(item.get("description"), str):
        made["description"] = item["description"]
    schema = item.get("parameters") or item.get("parametersJsonSchema")
    if isinstance(schema, dict):
        made["parameters"] = schema
    return made
