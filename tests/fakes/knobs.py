"""How a test tells the fake provider to behave: by the model's name or by ``x-fake-*`` headers.

============================  ==============================================================
model name contains           effect
============================  ==============================================================
``error-<status>``            that HTTP error, in the API's own shape (429 with Retry-After)
``slow``                      ``SLOW_TTFT_S`` before the first byte of the answer
``broken``                    the connection breaks after two stream events
``cached``                    half of the input tokens (rounded down) were read from a cache
``reason`` or ``thinking``    ``REASONING_TOKENS`` reasoning tokens
============================  ==============================================================

Headers say the same with numbers and win over the name: ``x-fake-error``, ``x-fake-retry-after``
(seconds), ``x-fake-ttft-ms``, ``x-fake-chunk-ms`` (pause between stream events),
``x-fake-break-after`` (events), ``x-fake-cached-tokens``, ``x-fake-cache-write-tokens`` (Anthropic),
``x-fake-reasoning-tokens``, ``x-fake-audio-tokens`` (input), ``x-fake-answer`` (the text to say) and
``x-fake-id`` (makes the response id the same every time: ids otherwise never repeat).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SLOW_TTFT_S = 0.3
REASONING_TOKENS = 8
BREAK_AFTER_EVENTS = 2

_ERROR = re.compile(r"error-(\d{3})")

#: What providers answer for a model asked for by its alias.
SNAPSHOTS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "o3-mini": "o3-mini-2025-01-31",
    "gpt-5": "gpt-5-2025-08-07",
    "claude-3-5-haiku-latest": "claude-3-5-haiku-20241022",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}


@dataclass(frozen=True, slots=True)
class Knobs:
    """The behaviour asked for. Token counts are ``None`` where the request leaves them to the rules."""

    model: str
    error_status: int | None = None
    retry_after_s: int = 7
    ttft_s: float = 0.0
    chunk_s: float = 0.0
    break_after: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    answer: str | None = None
    fixed_id: str = ""

    @property
    def served_model(self) -> str:
        """Return the model named in the answer: the dated snapshot of an alias, else as asked."""
        return SNAPSHOTS.get(self.model, self.model)

    def cached(self, input_tokens: int) -> int:
        """Return how many of these input tokens were read from a cache."""
        if self.cached_tokens is not None:
            return min(self.cached_tokens, input_tokens)
        return input_tokens // 2 if "cached" in self.model else 0


def read_knobs(model: str, headers: Mapping[str, str]) -> Knobs:
    """Read the behaviour from a model name and (case-insensitive) headers."""
    named_error = _ERROR.search(model)

    def number(name: str) -> int | None:
        value = headers.get(f"x-fake-{name}")
        return None if value is None else int(value)

    error_status = number("error")
    ttft_ms = number("ttft-ms")
    break_after = number("break-after")
    reasoning = number("reasoning-tokens")
    reasons = "reason" in model or "thinking" in model
    return Knobs(
        model=model,
        error_status=error_status if error_status is not None else (int(named_error[1]) if named_error else None),
        retry_after_s=number("retry-after") or 7,
        ttft_s=ttft_ms / 1000 if ttft_ms is not None else (SLOW_TTFT_S if "slow" in model else 0.0),
        chunk_s=(number("chunk-ms") or 0) / 1000,
        break_after=break_after if break_after is not None else (BREAK_AFTER_EVENTS if "broken" in model else None),
        cached_tokens=number("cached-tokens"),
        cache_write_tokens=number("cache-write-tokens"),
        reasoning_tokens=reasoning if reasoning is not None else (REASONING_TOKENS if reasons else 0),
        audio_tokens=number("audio-tokens") or 0,
        answer=headers.get("x-fake-answer"),
        fixed_id=headers.get("x-fake-id", ""),
    )
