"""``spanhouse reprice`` and ``spanhouse remap``: with the stores in this process, or by the running server.

An embedded folder opens in one process only, so when a server holds it, the server is asked to do
the work and watched while it does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from spanhouse_server.clock import MonotonicStamps, now_ns, rfc3339
from spanhouse_server.config import Settings
from spanhouse_server.errors import FolderInUse, NotFound
from spanhouse_server.house import Stores, open_stores
from spanhouse_server.query.times import parse_time
from spanhouse_server.remake import Job, Remakes
from spanhouse_server.running_server import TIMEOUT_S, ask, running_at
from spanhouse_server.store.own_prices import PriceBooks

POLL_S = 0.5

Say = Callable[[str], None]


def remake(settings: Settings, kind: str, project: str, since: str, endpoint: str, say: Say) -> bool:
    """Remake what is stored; say how it went, return whether it came to its end.

    Raises what opening the stores raises, but when a server has them open it is asked instead.
    """
    since_ns = parse_time(since, now_ns(), "--since") if since else 0
    if endpoint:
        return _by_server(settings, endpoint, kind, project, since_ns, say)
    try:
        with open_stores(settings) as stores:
            stores.columnar.migrate()
            return _here(stores, kind, project, since_ns, say)
    except FolderInUse as error:
        url = running_at(settings, error)
        say(f"{url} has the data folder open and does the work")
    return _by_server(settings, url, kind, project, since_ns, say)


def _here(stores: Stores, kind: str, project: str, since_ns: int, say: Say) -> bool:
    if project and stores.records.project(project) is None:
        raise NotFound(f"no project {project!r}", "leave --project out for all of them")
    stamps = MonotonicStamps()

    @contextmanager
    def turn() -> Iterator[int]:
        yield stamps.next_ns()

    books = PriceBooks(stores.records)
    remakes = Remakes(stores.columnar, stores.records, books.current, turn)
    try:
        job = remakes.start(kind, project or None, since_ns)
        while job.state == "running":
            time.sleep(POLL_S / 5)
    finally:
        remakes.stop(timeout_s=TIMEOUT_S)
    return _told(_summary(job), say)


def _by_server(settings: Settings, url: str, kind: str, project: str, since_ns: int, say: Say) -> bool:
    body = {"project": project, "since": rfc3339(since_ns) if since_ns else ""}
    job = ask(settings, f"{url.rstrip('/')}/api/v1/{kind}", body)
    while job["state"] == "running":
        time.sleep(POLL_S)
        job = ask(settings, f"{url.rstrip('/')}/api/v1/remakes/{job['id']}", None)
    return _told(job, say)


def _summary(job: Job) -> dict[str, Any]:
    totals = job.totals
    return {
        "kind": job.kind,
        "state": job.state,
        "error": job.error,
        "traces": totals.traces,
        "spans": totals.spans,
        "changed": totals.changed,
    }


def _told(job: dict[str, Any], say: Say) -> bool:
    say(f"{job['kind']} {job['state']}: {job['traces']} traces, {job['spans']} spans, {job['changed']} changed")
    if job["state"] == "done":
        return True
    say(f"  {job['error'] or 'it was stopped'}; the same command goes on where it ended")
    return False
