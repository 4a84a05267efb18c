"""Warnings to the host's log: never more than one a minute for the same trouble."""

from __future__ import annotations

import logging
import time

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
