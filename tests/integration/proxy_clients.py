"""The Python clients of OpenAI and Anthropic, used in every way against one base URL each.

What comes back can be compared between two runs: it leaves out what differs by nature (times, request ids).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import anthropic
import openai
from pydantic import BaseModel

ASKED: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
FUNCTION = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS: Any = [{"type": "function", "function": FUNCTION}]
CLAUDE_TOOLS: Any = [{"name": "get_weather", "input_schema": FUNCTION["parameters"]}]
STATUSES = (400, 401, 403, 404, 409, 422, 429, 500, 503)
#: Calls of one ``use_openai`` and one ``use_anthropic`` that reach a provider; the client's own retries included.
OPENAI_CALLS, ANTHROPIC_CALLS = 17 + len(STATUSES), 9 + len(STATUSES) + 1
_BY_NATURE = frozenset({"created", "created_at", "completed_at", "request_id", "_request_id"})
Seen = dict[str, Any]


def plain(value: Any) -> Any:
    """Return what a client gave as built-in types."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(warnings=False))
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in _BY_NATURE}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def noted(ask: Callable[[], Any]) -> Any:
    """Return what a call gave, or which error it was and what that says."""
    try:
        given = ask()
        return plain(
            list(given) if isinstance(given, Iterable) and not isinstance(given, list | dict | BaseModel) else given
        )
    except Exception as error:
        answer = getattr(error, "response", None)
        headers = answer.headers if answer is not None else {}
        told = {name: headers.get(name) for name in ("retry-after", "content-type")}
        # Errors of the library that speaks HTTP name ports.
        said = plain(getattr(error, "body", None))
        return [
            type(error).__module__.partition(".")[0],
            type(error).__name__,
            getattr(error, "status_code", None),
            said,
            told,
        ]


def use_openai(base_url: str, session: str) -> Seen:
    """Chat, stream, tools, structured output, Responses, embeddings, errors, retries, time-outs and hang-ups."""
    headers = {"X-Session-Id": session, "x-fake-id": "same"}
    client = openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0, default_headers=headers)
    chat: Any = {"model": "gpt-4o-mini", "messages": ASKED}
    create = client.chat.completions.create
    seen: Seen = {"chat": noted(lambda: create(**chat))}
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    seen["stream"] = noted(lambda: create(**chat, **usage))
    called = create(**chat, tools=TOOLS).choices[0].message
    seen["tools"] = plain(called)
    assert called.tool_calls
    answered = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "21 degrees"}
    round_trip = [*ASKED, called.model_dump(exclude_none=True), answered]
    seen["tools answered"] = noted(lambda: create(**chat | {"messages": round_trip}, tools=TOOLS))
    seen["tools stream"] = noted(lambda: create(**chat, tools=TOOLS, **usage))
    seen["responses"] = noted(lambda: client.responses.create(model="gpt-4.1", input="hello"))
    seen["responses stream"] = noted(lambda: client.responses.create(model="gpt-4.1", input="hello", stream=True))
    embed = client.embeddings.create
    seen["embeddings"] = noted(lambda: embed(model="text-embedding-3-small", input=["a", "b"]))
    seen["embeddings as numbers"] = noted(
        lambda: embed(model="text-embedding-3-small", input="a", encoding_format="float")
    )
    seen["models"] = noted(lambda: sorted(model.id for model in client.models.list()))
    raw = client.chat.completions.with_raw_response.create(**chat)
    seen["raw"] = [raw.status_code, raw.headers["content-type"], plain(json.loads(raw.text))]
    for status in STATUSES:
        seen[f"error {status}"] = noted(lambda status=status: create(**chat | {"model": f"error-{status}"}))  # type: ignore[misc]
    again = client.with_options(max_retries=1)
    seen["retries"] = noted(
        lambda: again.chat.completions.create(
            **chat | {"model": "error-500"}, extra_headers={"x-fake-retry-after": "0"}
        )
    )
    seen["timeout"] = noted(lambda: create(**chat | {"model": "slow-gpt"}, timeout=0.1))
    seen["broken"] = noted(lambda: create(**chat | {"model": "broken-gpt"}, stream=True))
    stream = create(**chat | {"model": "gpt-4.1-mini"}, stream=True, extra_headers={"x-fake-chunk-ms": "20"})
    seen["hangs up"] = plain(next(iter(stream)))
    stream.close()
    seen["cancelled"] = asyncio.run(_cancelled(base_url, headers))
    return seen


async def _cancelled(base_url: str, headers: dict[str, str]) -> str:
    """Cancel a task that waits for an answer."""
    async with openai.AsyncOpenAI(
        base_url=base_url, api_key="sk-test", max_retries=0, default_headers=headers
    ) as client:
        asking = asyncio.create_task(client.chat.completions.create(model="slow-o4", messages=ASKED))
        await asyncio.sleep(0.15)
        asking.cancel()
        try:
            await asking
        except asyncio.CancelledError:
            return "cancelled"
    return "answered"


def use_anthropic(base_url: str, session: str) -> Seen:
    """Messages, streams, tools, counting, errors, time-outs and hang-ups."""
    headers = {"X-Session-Id": session, "x-fake-id": "same", "x-fake-cached-tokens": "2"}
    client = anthropic.Anthropic(base_url=base_url, api_key="sk-ant", max_retries=0, default_headers=headers)
    message: Any = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": ASKED}
    create = client.messages.create
    seen: Seen = {"message": noted(lambda: create(**message))}
    with client.messages.stream(**message) as stream:
        seen["stream"] = plain(list(stream))
    called = create(**message, tools=CLAUDE_TOOLS)
    seen["tools"] = plain(called)
    [used] = [block for block in called.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": used.id, "content": "21 degrees"}
    round_trip = [
        *ASKED,
        {"role": "assistant", "content": called.model_dump()["content"]},
        {"role": "user", "content": [result]},
    ]
    seen["tools answered"] = noted(lambda: create(**message | {"messages": round_trip}, tools=CLAUDE_TOOLS))
    seen["tools stream"] = noted(lambda: create(**message, tools=CLAUDE_TOOLS, stream=True))
    seen["count"] = noted(lambda: client.messages.count_tokens(model=message["model"], messages=ASKED))
    for status in (*STATUSES, 529):
        seen[f"error {status}"] = noted(lambda status=status: create(**message | {"model": f"error-{status}"}))  # type: ignore[misc]
    seen["timeout"] = noted(lambda: create(**message | {"model": "slow-claude"}, timeout=0.1))
    seen["broken"] = noted(lambda: create(**message | {"model": "broken-claude"}, stream=True))
    events = create(**message | {"model": "claude-sonnet-5"}, stream=True, extra_headers={"x-fake-chunk-ms": "20"})
    seen["hangs up"] = plain(next(iter(events)))
    events.close()
    return seen
