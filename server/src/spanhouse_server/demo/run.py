"""Spreads the scripted conversations over the last hours and sends them through the SDK."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import spanhouse
from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.demo.conversations import CONVERSATIONS
from spanhouse_server.demo.desk import Visit, serve, visit
from spanhouse_server.demo.shop import Conversation
from spanhouse_server.errors import BadRequest, Unavailable

DEFAULT_HOURS = 6.0
FLUSH_TIMEOUT_S = 30.0
#: A conversation's turns stay within this, so the last ones still end in the past.
_LONGEST_VISIT_S = 420
#: Customers of the second time around; later ones are these again.
_MORE_CUSTOMERS = (
    "hana.kim", "pedro.silva", "julia.kowalska", "omar.haddad", "emma.larsson", "liam.murphy", "chiara.bruno",
    "samuel.okeke", "anna.schmidt", "yusuf.demir", "clara.dubois", "mateo.garcia", "nina.petrova", "ravi.sharma",
)  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """What a run of the demo sent; printing it tells a person where to look."""

    endpoint: str
    traces: int
    failed_turns: int
    sessions: int
    users: int
    items_sent: int
    items_dropped: int

    def __str__(self) -> str:
        """Return the summary in a few lines."""
        dropped = f" {self.items_dropped} were refused or dropped." if self.items_dropped else ""
        return (
            f"Sent {self.traces} traces of {self.sessions} conversations with {self.users} customers: "
            f"{self.items_sent} spans and scores, {self.failed_turns} failed on purpose.{dropped}\n"
            f"See them at {self.endpoint}/"
        )


def run(
    endpoint: str = "http://127.0.0.1:4318",
    project_key: str | None = None,
    traces: int = 40,
    *,
    hours: float = DEFAULT_HOURS,
    seed: int = 7,
) -> Summary:
    """Send ``traces`` traces of the sample support desk, started over the last ``hours``.

    Raises ``Unavailable`` when nothing answers at ``endpoint`` and ``BadRequest`` when what answers
    takes nothing (a wrong key, or another service).
    """
    if traces < 1:
        raise BadRequest("the demo sends at least one trace", "use --traces 40")
    endpoint = endpoint.rstrip("/")
    _check_reachable(endpoint)
    handle = spanhouse.init(
        endpoint,
        project_key,
        service_name="support-desk",
        environment="demo",
        release="2026.11.2",
        instrument=False,
        sample_rate=1.0,
        capture_content=True,
    )
    sessions, users, failed, served = set(), set(), 0, 0
    try:
        for one_visit in _visits(traces, hours, random.Random(seed)):
            for turn in one_visit.script.turns:
                if served == traces:
                    break
                failed += serve(one_visit, turn) is None
                served += 1
                one_visit.timeline.pass_s(12, 80)
            sessions.add(one_visit.session)
            users.add(one_visit.user)
        stats = handle.stats
        finished = handle.flush(FLUSH_TIMEOUT_S)
    finally:
        handle.shutdown()
    if not finished:
        raise Unavailable(
            f"{endpoint} did not take the demo's traces within {FLUSH_TIMEOUT_S:.0f} s", "is it overloaded?"
        )
    if not stats.sent:
        raise BadRequest(
            f"{endpoint} refused everything the demo sent", "does it ask for a key? give it with --api-key"
        )
    dropped = stats.dropped_full + stats.dropped_refused
    return Summary(endpoint, served, failed, len(sessions), len(users), stats.sent, dropped)


def _visits(traces: int, hours: float, chance: random.Random) -> Iterator[Visit]:
    """Yield enough conversations for ``traces`` turns, oldest first, denser towards the present."""
    scripts: list[tuple[Conversation, str]] = []
    turns = 0
    while turns < traces:
        script = CONVERSATIONS[len(scripts) % len(CONVERSATIONS)]
        again = len(scripts) - len(CONVERSATIONS)
        scripts.append((script, script.user if again < 0 else _MORE_CUSTOMERS[again % len(_MORE_CUSTOMERS)]))
        turns += len(script.turns)
    window_s = max(hours * 3600 - _LONGEST_VISIT_S, 1.0)
    ages_s = sorted((_LONGEST_VISIT_S + window_s * chance.random() ** 1.5 for _ in scripts), reverse=True)
    latest_ns = now_ns()
    for (script, user), age_s in zip(scripts, ages_s, strict=True):
        # Ids are new in every run, as a second run is other traffic, not the same again.
        session = f"s-{random.SystemRandom().getrandbits(40):010x}"
        yield visit(script, session, user, latest_ns - int(age_s * NS_PER_S), chance)


def _check_reachable(endpoint: str) -> None:
    parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    try:
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        with socket.create_connection(address, timeout=5):
            return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(f"no server answers at {endpoint} ({reason})", "start one with `spanhouse serve`") from None
