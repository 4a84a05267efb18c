"""Warnings to the host's log: never more than one a minute for the same trouble."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

INTERVAL_S = 60.0

logger = logging.getLogger("spanhouse")
_last: dict[str, float] = {}


def warn_rarely(topic: str, message: str, *args: object) -> bool:
    """Log a warning unless ``topic`` was warned of within the last minute; tell whether it was logged."""
    now = time.monotonic()
    last = _last.get(topic)
    if last is not None and now - last < INTERVAL_S:
        return False
    _last[topic] = now
    try:
        logger.warning(message, *args)
    except Exception:
        # A broken logging set-up is the host's matter and must not become its crash.
        return False
    return True


def never_raises(function: F) -> F:
    """Make a function of ours that returns nothing give a warning where it would raise into the application."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            # Only the type: the message may quote what the application keeps to itself.
            warn_rarely(function.__name__, "%s had no effect: %s", function.__name__, type(error).__name__)

    return guarded  # type: ignore[return-value]
