"""What a policy charges a call by: the tokens that were served, or as much as is known of a call that broke off.

A stream usually tells its tokens at its very end. A caller who hangs up before is billed by the provider
all the same, so limits count what passed until then: text, at four characters to a token, which is about
right for English and too little for most else. The record itself is never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from spanhouse_collector.parse.contract import CallRecord, Message, Part, Reading, Turn
from spanhouse_collector.parse.jsontext import dumps

CHARACTERS_PER_TOKEN = 4


def summary_of(record: CallRecord) -> dict[str, Any]:
    """Return status, models, tokens (``None``: not known) and cost of a call.

    Of a WebSocket, the answers that were not told before by ``summary_of_turns`` are summed; empty when there
    are none, and those before were all. ``estimated`` tells that tokens were counted by the text that passed.
    """
    if record.websocket and record.turns_told and not record.turns:
        return {}
    broken = [record.reading] if _broke_off(record) else []
    broken += [turn.reading for turn in record.turns if _is_cut(turn)]
    readings = [record.reading, *(turn.reading for turn in record.turns)]
    return {"outcome": record.end.outcome, "status": record.status, **_summed(readings, broken)}


def summary_of_turns(turns: Sequence[Turn]) -> dict[str, Any]:
    """Return the summary of answers over a WebSocket that stays open; ``more`` tells that others may follow."""
    told = _summed([turn.reading for turn in turns], [turn.reading for turn in turns if _is_cut(turn)])
    return {"outcome": "complete", "status": 101, **told, "more": True}


def _summed(readings: Sequence[Reading], broken: Iterable[Reading]) -> dict[str, Any]:
    """Return models (those of the last reading), tokens and cost; ``broken`` are those to estimate."""

    def total(name: str) -> Any:
        values = [value for reading in readings if (value := getattr(reading.usage, name)) is not None]
        return sum(values) if values else None

    names = ("input_tokens", "output_tokens")
    tokens = {name: total(name) for name in names}
    known = dict(tokens)
    for reading in broken:
        passed = {"input_tokens": _asked(reading), "output_tokens": _tokens(reading.output_messages)}
        for name in names:
            # Some tell the input at the start, and an output that was right then.
            served = getattr(reading.usage, name) or 0
            tokens[name] = (tokens[name] or 0) + max(passed[name] - served, 0)
    cost_usd = total("cost_usd")
    return {
        "request_model": next((item.request_model for item in reversed(readings) if item.request_model), ""),
        "response_model": next((item.response_model for item in reversed(readings) if item.response_model), ""),
        **tokens,
        "cache_read_tokens": total("cache_read_tokens"),
        "cache_write_tokens": total("cache_write_tokens"),
        "cost_usd": str(cost_usd) if cost_usd is not None else None,
        "estimated": tokens != known,
    }


def _broke_off(record: CallRecord) -> bool:
    """Tell whether the answer to a plain call had begun and was not told to its end."""
    begun = record.status is not None and record.status < 400 and not record.websocket
    return begun and record.end.outcome != "complete" and bool(record.reading.kind) and not record.end.cache_hit


def _is_cut(turn: Turn) -> bool:
    """Tell whether an answer over a WebSocket had begun and was not told to its end."""
    reading = turn.reading
    return not turn.complete and bool(reading.response_id or reading.first_token_ns or reading.output_messages)


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
