"""Read a recorded case: its payloads as canonical spans, and the truth the provider wrote down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanhouse_server.decode import decode, parse
from spanhouse_server.decode.pending import PENDING
from spanhouse_server.model.raw import RawLog, RawSpan
from spanhouse_server.model.span import Span
from spanhouse_server.normalise import is_genai_log, normalise

HERE = Path(__file__).parent
RECEIVED_NS = 1_800_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Truth:
    """What the provider was asked and what it answered, in terms of no instrumentation."""

    api: str
    status: int
    request: dict[str, Any]
    request_model: str
    model: str
    response_id: str
    text: str
    tool_calls: list[dict[str, Any]]
    finish_reason: str
    usage: dict[str, Any] | None
    usage_sent: bool

    @property
    def input_tokens(self) -> int | None:
        """Return all input tokens, cached ones included."""
        usage = self.usage or {}
        if self.api.startswith("gemini"):
            return usage["promptTokenCount"] if usage else None
        if self.api == "messages":
            return usage["input_tokens"] + self.cache_read_tokens + self.cache_write_tokens if usage else None
        return usage.get("prompt_tokens", usage.get("input_tokens"))

    @property
    def output_tokens(self) -> int | None:
        """Return all output tokens, reasoning included."""
        usage = self.usage or {}
        if "candidatesTokenCount" in usage:
            return usage["candidatesTokenCount"] + self.reasoning_tokens
        return usage.get("completion_tokens", usage.get("output_tokens"))

    @property
    def cache_read_tokens(self) -> int:
        """Return the input tokens read from the cache."""
        usage = self.usage or {}
        if self.api == "gemini":
            return usage.get("cachedContentTokenCount", 0)
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
        return usage.get("cache_read_input_tokens", details.get("cached_tokens", 0))

    @property
    def cache_write_tokens(self) -> int:
        """Return the input tokens written to the cache."""
        return (self.usage or {}).get("cache_creation_input_tokens", 0)

    @property
    def reasoning_tokens(self) -> int:
        """Return the output tokens spent on reasoning."""
        usage = self.usage or {}
        if self.api == "gemini":
            return usage.get("thoughtsTokenCount", 0)
        details = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
        return details.get("reasoning_tokens", 0)

    @property
    def conversation(self) -> list[tuple[str, str]]:
        """Return role and words of every input message as the application wrote them."""
        if self.api == "responses":
            given = self.request["input"]
            return [("user", given)] if isinstance(given, str) else [_item(item) for item in given]
        if self.api == "gemini":
            return [_content(content) for content in self.request["contents"]]
        return [turn for message in self.request["messages"] for turn in _turns(message)]

    @property
    def system_text(self) -> str:
        """Return system instructions given beside the messages."""
        system = self.request.get("system") or self.request.get("instructions") or ""
        if self.api == "gemini":
            system = (self.request.get("systemInstruction") or {}).get("parts") or ""
        return system if isinstance(system, str) else " ".join(block["text"] for block in system)


def _content(content: dict[str, Any]) -> tuple[str, str]:
    """Return a content of the Gemini API."""
    said, role = [], "assistant" if content.get("role") == "model" else "user"
    for part in content["parts"]:
        if "functionCall" in part:
            said.append(f"{part['functionCall']['name']}({part['functionCall']['args']})")
        elif "functionResponse" in part:
            role = "tool"
            said.append(str(part["functionResponse"]["response"]))
        elif "text" in part:
            said.append(part["text"])
    return role, " ".join(said)


def _item(item: dict[str, Any]) -> tuple[str, str]:
    """Return a message of the Responses API."""
    content = item["content"]
    texts = [content] if isinstance(content, str) else [block["text"] for block in content]
    return {"developer": "system"}.get(item["role"], item["role"]), " ".join(texts)


def _turns(message: dict[str, Any]) -> list[tuple[str, str]]:
    content = message.get("content")
    if isinstance(content, list) and any(block["type"] == "tool_result" for block in content):
        return [("tool", block["content"]) for block in content]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    calls = [call["function"] for call in message.get("tool_calls") or []]
    called = [f"{call['name']}({json.loads(call['arguments'])})" for call in calls]
    called += [f"{block['name']}({block['input']})" for block in blocks if block["type"] == "tool_use"]
    words = [block["text"] for block in blocks if block["type"] == "text"]
    return [(message["role"], " ".join(words + called))]


def words(message: dict[str, Any]) -> tuple[str, str]:
    """Return role and words of a canonical message, as ``Truth.conversation`` writes them."""
    said = []
    for part in message["parts"]:
        if part["type"] == "text":
            said.append(part["content"])
        elif part["type"] == "tool_call":
            said.append(f"{part['name']}({part['arguments']})")
        elif part["type"] == "tool_call_response":
            said.append(str(part["response"]))
    return message["role"], " ".join(said)


def records(name: str) -> tuple[list[RawSpan], list[RawLog]]:
    """Return the raw spans and logs of a case, in the order they were sent."""
    spans: list[RawSpan] = []
    logs: list[RawLog] = []
    for path in sorted((HERE / "payloads" / name).iterdir()):
        signal = path.stem.partition("-")[2]
        decoded = decode(signal, parse(signal, "application/x-protobuf", path.read_bytes()), RECEIVED_NS)
        assert not decoded.rejected, decoded.message
        spans += decoded.spans
        logs += decoded.logs
    return spans, logs


def spans_of(name: str) -> list[Span]:
    """Return the canonical spans of a case by start time, each with its own log events.

    Announcements of spans (``decode/pending.py``) are left out where the finished span is there too.
    """
    raw_spans, logs = records(name)
    finished = {raw.span_id for raw in raw_spans if PENDING not in raw.flags}
    return [
        normalise(raw, [log for log in logs if log.span_id == raw.span_id and is_genai_log(log)])
        for raw in sorted(raw_spans, key=lambda raw: raw.start_ns)
        if PENDING not in raw.flags or raw.span_id not in finished
    ]


def truth_of(name: str) -> list[Truth]:
    """Return what the provider served during a case, in order."""
    fields = Truth.__dataclass_fields__
    served = json.loads((HERE / "expected" / f"{name}.json").read_text())
    return [Truth(**{key: value for key, value in record.items() if key in fields}) for record in served]


def all_cases() -> list[str]:
    """Return the names of all recorded cases."""
    return sorted(path.name for path in (HERE / "payloads").iterdir())
