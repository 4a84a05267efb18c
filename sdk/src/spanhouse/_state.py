"""What is in force between ``init`` and ``shutdown``; read on every decorated call, so kept flat."""

from __future__ import annotations

import os
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
        "capture",
        "fork_count",
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
        #: How many forks lie between this process and the one that loaded the module.
        self.fork_count = 0


STATE = State()


def _count_fork() -> None:
    STATE.fork_count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)
