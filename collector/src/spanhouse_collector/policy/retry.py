"""Retries: only when asked for, only before the first byte of an answer was passed to the client.

A replayed POST can be billed twice, so nothing here is on by default. What may be tried again is an
attempt that failed before any byte reached the client: no connection, a connection that broke before
the status line, or an answer with a status in ``RETRYABLE``. The pause honours ``retry-after-ms``,
``x-ms-retry-after-ms`` and ``Retry-After`` (seconds or a date): never earlier than asked; when that is
longer than the time that is left, the answer is passed on as it is. ``x-should-retry`` of the provider
overrides the status, as the providers' own clients do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

#: Too early, too many, and whatever is the server's fault; 501 and 505 would say the same again.
RETRYABLE = frozenset({408, 425, 429, *range(500, 600)} - {501, 505})
#: All pauses of a call together, s: most clients give up after 600 s, and the attempts take time too.
TOTAL_PAUSE_S = 60.0
#: What is added to a pause the provider asked for, as a share of it, so that clients spread out.
_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class RetryAsk:
    """How often to try again (``retries`` beside the first attempt) and how long to pause, ms."""

    retries: int = 5
    factor: float = 2.0
    min_pause_ms: int = 1_000
    max_pause_ms: int = 10_000


class Retrier:
    """Decides for one call, attempt after attempt, whether and when to try again."""

    def __init__(
        self,
        ask: RetryAsk | None,
        *,
        total_pause_s: float = TOTAL_PAUSE_S,
        clock: Callable[[], float] = time.time,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._ask = ask
        self._left_s = total_pause_s
        self._clock = clock
        self._rng = rng
        self.count = 0

    def pause_s(self, status: int | None, headers: Iterable[tuple[str, str]] = ()) -> float | None:
        """Return how long to wait before the next attempt, ``None`` for no further attempt.

        ``status`` and ``headers`` are of the attempt that failed, ``None`` when it got no answer.
        ``count`` is the number of retries granted so far.
        """
        if self._ask is None or self.count >= self._ask.retries:
            return None
        found = {name.lower(): value.strip() for name, value in headers}
        if not _may_repeat(status, found.get("x-should-retry", "").lower()):
            return None
        asked_s = retry_after_s(found, self._clock())
        pause_s = self._own_pause_s() if asked_s is None else asked_s * (1 + _SPREAD * self._rng())
        if pause_s > self._left_s:
            return None
        self._left_s -= pause_s
        self.count += 1
        return pause_s

    def _own_pause_s(self) -> float:
        ask = self._ask or RetryAsk()
        longest_ms = min(ask.min_pause_ms * ask.factor**self.count, ask.max_pause_ms)
        # Half of it is left to chance: clients that failed together do not come back together.
        return longest_ms * (0.5 + 0.5 * self._rng()) / 1000


def _may_repeat(status: int | None, should_retry: str) -> bool:
    if status is None:
        return True
    if should_retry in ("true", "false"):
        return should_retry == "true" and status >= 400
    return status in RETRYABLE


def retry_after_s(headers: dict[str, str], now_s: float) -> float | None:
    """Return the pause an answer asks for, s; ``None`` without a readable wish. Names in lower case."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or not value:
        return seconds
    try:
        return max(parsedate_to_datetime(value).timestamp() - now_s, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e12 else None
