"""What a policy charges a call by: the tokens that were served, or as much as is known of a call that broke off.

A stream usually tells its tokens at its very end. A caller who hangs up before is billed by the provider
all the same, so limits count what passed until then: text, at four characters to a token, which is about
right for English and too little for most else. The record itself is never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spanhouse_collector.parse.contract import CallRecord, Message, Part, Reading
from spanhouse_collector.parse.jsontext import dumps

CHARACTERS_PER_TOKEN = 4


def summary_of(record: CallRecord) -> dict[str, Any]:
    """Return status, models, tokens (``None``: not known) and cost of a call.

    The answers over a WebSocket are summed; their models are those of the last. ``estimated`` tells that
    tokens were counted by the text that passed.
    """
    readings = [record.reading, *(turn.reading for turn in record.turns)]
    usages = [reading.usage for reading in readings]

    def total(name: str) -> Any:
        values = [value for usage in usages if (value := getattr(usage, name)) is not None]
        return sum(values) if values else None

    tokens = {name: total(name) for name in ("input_tokens", "output_tokens")}
    known = dict(tokens)
    for reading in _broken_off(record):
        passed = {"input_tokens": _asked(reading), "output_tokens": _tokens(reading.output_messages)}
        # Some tell the input at the start, and an output that was right then.
        tokens = {name: max(passed[name], tokens[name] or 0) for name in tokens}
    cost_usd = total("cost_usd")
    return {
        "outcome": record.end.outcome,
        "status": record.status,
        "request_model": next((item.request_model for item in reversed(readings) if item.request_model), ""),
        "response_model": next((item.response_model for item in reversed(readings) if item.response_model), ""),
        **tokens,
        "cache_read_tokens": total("cache_read_tokens"),
        "cache_write_tokens": total("cache_write_tokens"),
        "cost_usd": str(cost_usd) if cost_usd is not None else None,
        "estimated": tokens != known,
    }


def _broken_off(record: CallRecord) -> list[Reading]:
    """Return the reading of a call whose answer had begun and was not told to its end."""
    begun = record.status is not None and record.status < 400 and not record.websocket
    reading = record.reading
    if not begun or record.end.outcome == "complete" or not reading.kind or record.end.cache_hit:
        return []
    return [reading]


def _asked(reading: Reading) -> int:
    """Return about how many tokens the request had."""
    if reading.usage.input_tokens is not None:
        return reading.usage.input_tokens
    tools = len(dumps(reading.tool_definitions)) if reading.tool_definitions else 0
    return _tokens(reading.input_messages) + (_characters(reading.system_instructions) + tools) // CHARACTERS_PER_TOKEN


def _tokens(messages: Iterable[Message]) -> int:
    return sum(_characters(said["parts"]) for said in messages) // CHARACTERS_PER_TOKEN


def _characters(parts: Iterable[Part]) -> int:
    return sum(len(text) if isinstance(text := part.get("content"), str) else len(dumps(part)) for part in parts)
