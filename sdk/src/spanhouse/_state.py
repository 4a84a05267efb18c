"""What is in force between ``init`` and ``shutdown``; read on every decorated call, so kept flat."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from opentelemetry.trace import Tracer

from spanhouse._content import ContentPolicy

if TYPE_CHECKING:
    from spanhouse._sender import Lane, Sender
    from spanhouse._settings import Settings


class State:
    """The one mutable object of the SDK. ``active`` is false before ``init`` and after ``shutdown``."""

    __slots__ = (
        "active",
        "backdated",
        "capture",
        "forked_at_ns",
        "lanes",
        "policy",
        "sample_rate",
        "sampler_decides",
        "sender",
        "settings",
        "tracer",
    )

    def __init__(self) -> None:
        self.active = False
        self.capture = True
        self.sample_rate = 1.0
        #: True where the host's own sampler is in charge of every decision.
        self.sampler_decides = False
        self.tracer: Tracer | None = None
        self.policy = ContentPolicy(True, None)
        self.sender: Sender | None = None
        self.lanes: dict[str, Lane] = {}
        self.settings: Settings | None = None
        #: When this process was forked off (ns since 1970), 0 where it was not.
        self.forked_at_ns = 0
        #: Span ids started after the fork with an explicit earlier start time.
        self.backdated: set[int] = set()

    def __reduce__(self) -> str:
        """Pickle as the name of the one object: Ray, Dask and others send decorated functions to other processes."""
        return "STATE"


STATE = State()


def _note_fork() -> None:
    STATE.forked_at_ns = time.time_ns()
    STATE.backdated = set()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
