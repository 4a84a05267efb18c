"""The budgets of the server that spans go to, for a proxy that stands elsewhere.

A thread asks the server, with the key that spans are sent with, which enforced budgets are used up; calls are judged
by the last answer, from memory. Whatever is wrong with the server or the way to it, no call waits or fails for it:
the last answer holds for a while, then nobody is refused. Other OTLP backends have no budgets and say so by a 404.
"""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal

from spanhouse_collector.parse.contract import CallContext
from spanhouse_collector.policy.budgets import UsedBudget
from spanhouse_collector.policy.verdicts import Caller, Verdicts, read_verdicts
from spanhouse_collector.proxy.endpoint import Endpoint

log = logging.getLogger("spanhouse.proxy")

PATH = "/api/v1/budgets/verdicts"
TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
#: How often a server is asked while no calls come; the first call has it asked at once.
IDLE_S = 30.0
#: Pauses while the server is away; the last one is repeated.
RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
#: How long to leave a backend alone that has no budgets, or does not take the key.
NONE_S = 300.0
#: How long the last answer holds while no other comes.
HOLD_S = 900.0

State = Literal["", "asked", "none", "away"]


class RemoteBudgets:
    """Asks one server. ``used_up`` and ``watches`` never wait; ``start`` and ``stop`` run the thread."""

    def __init__(
        self, endpoint: Endpoint, headers: Mapping[str, str], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._headers = {"accept": "application/json", **headers}
        self._monotonic_s = monotonic_s
        self._known = Verdicts()
        self._read_s = 0.0
        self._failures = 0
        self._state: State = ""
        self._called = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._thread = threading.Thread(target=self._run, name="proxy-budgets", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; an answer that is waited for is left behind."""
        self._ending.set()
        self._called.set()

    def watches(self, project: str) -> bool:
        """Tell whether any budget is used up for somebody; notes that a call came."""
        if not self._called.is_set():
            self._called.set()
        return bool(self._known.closed)

    def used_up(self, project: str, context: CallContext, key_id: str) -> UsedBudget | None:
        """Return a budget that is used up for a caller, nothing when none is."""
        known, now_s = self._known, time.time()
        if not known.closed or self._monotonic_s() - self._read_s > HOLD_S:
            return None
        caller = Caller(context, key_id)
        return next((used for each in known.closed if (used := each.on(caller, now_s)) is not None), None)

    def refresh(self) -> float:
        """Ask once; return after how many seconds to ask again."""
        try:
            status, body = self._get()
            if status == 200:
                known = read_verdicts(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return self._failed(type(error).__name__)
        if status in (401, 403):
            return self._none("it does not take the key")
        if status in (404, 405, 501):
            return self._none("it offers none")
        if status != 200:
            return self._failed(f"it answered {status}")
        if self._state != "asked":
            log.info("the budgets of %s are enforced here", self._endpoint.host)
        if known.strange and known.strange != self._known.strange:
            log.warning("not understood, so not enforced here: the budgets %s", ", ".join(known.strange))
        self._state, self._failures = "asked", 0
        self._known, self._read_s = known, self._monotonic_s()
        return known.refresh_s

    def _get(self) -> tuple[int, bytes]:
        connection = self._endpoint.connect(TIMEOUT_S)
        try:
            connection.request("GET", self._endpoint.path + PATH, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("the answer is too long")
        return answer.status, body

    def _failed(self, why: str) -> float:
        if self._state != "away":
            said = f"the last known ones hold for {HOLD_S:g} s" if self._known.closed else "none is enforced meanwhile"
            log.warning("the budgets of %s cannot be read (%s); %s", self._endpoint.host, why, said)
        self._state = "away"
        pause_s = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        return pause_s

    def _none(self, why: str) -> float:
        if self._state != "none":
            log.info("no budgets of %s are enforced here: %s", self._endpoint.host, why)
        self._state, self._known, self._failures = "none", Verdicts(), 0
        return NONE_S

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                pause_s = self.refresh()
            except Exception:
                # Whatever it is must not end the thread: budgets would silently never be enforced again.
                log.exception("the budgets of the server cannot be read")
                pause_s = RETRY_S[-1]
            self._called.clear()
            if self._ending.wait(pause_s):
                return
            if pause_s < IDLE_S:
                self._called.wait(IDLE_S - pause_s)
