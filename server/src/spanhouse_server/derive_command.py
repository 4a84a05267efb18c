"""``spanhouse derive``: has a background worker derive a range of the past again.

What is asked for is kept in the records store and done by whoever holds the worker's lease: this process
when it can open the stores, else the server that has them open.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from spanhouse_server.clock import now_ns, rfc3339
from spanhouse_server.config import Settings
from spanhouse_server.derive.runner import Runner
from spanhouse_server.errors import FolderInUse
from spanhouse_server.house import Stores, background_workers, instance_of, open_stores
from spanhouse_server.model.leases import OPEN_BACKFILLS
from spanhouse_server.query.times import parse_time
from spanhouse_server.running_server import ask, running_at

POLL_S = 0.3

Say = Callable[[str], None]


def derive(settings: Settings, worker: str, project: str, since: str, until: str, endpoint: str, say: Say) -> bool:
    """Have a range derived again; say how it went, return whether it came to its end.

    Raises what opening the stores raises, but when a server has them open it is asked instead.
    """
    at_ns = now_ns()
    since_ns = parse_time(since, at_ns, "--since")
    until_ns = parse_time(until, at_ns, "--until") if until else at_ns
    if endpoint:
        return _by_server(settings, endpoint, worker, project, since_ns, until_ns, say)
    try:
        with open_stores(settings) as stores:
            stores.columnar.migrate()
            return _here(settings, stores, worker, project, since_ns, until_ns, say)
    except FolderInUse as error:
        url = running_at(settings, error)
        say(f"{url} has the data folder open and does the work")
    return _by_server(settings, url, worker, project, since_ns, until_ns, say)


def _here(
    settings: Settings, stores: Stores, worker: str, project: str, since_ns: int, until_ns: int, say: Say
) -> bool:
    chosen = [each for each in background_workers(settings, stores.columnar) if each.name == worker]
    runner = Runner(stores.columnar, stores.records, workers=chosen, instance=instance_of(settings))
    backfill = runner.add_backfill(worker, project, since_ns, until_ns)
    runner.start()
    try:
        while backfill.state in OPEN_BACKFILLS:
            time.sleep(POLL_S)
            backfill = stores.records.backfill(backfill.id)
    finally:
        runner.stop()
    return _told(asdict(backfill), say)


def _by_server(settings: Settings, url: str, worker: str, project: str, since_ns: int, until_ns: int, say: Say) -> bool:
    root = f"{url.rstrip('/')}/api/v1/backfills"
    body = {"worker": worker, "project": project, "since": rfc3339(since_ns), "until": rfc3339(until_ns)}
    backfill = ask(settings, root, body)
    while backfill["state"] in OPEN_BACKFILLS:
        time.sleep(POLL_S)
        backfill = ask(settings, f"{root}/{backfill['id']}", None)
    return _told(backfill, say)


def _told(backfill: dict[str, Any], say: Say) -> bool:
    say(f"{backfill['worker']} {backfill['state']}: {backfill['windows']} windows, {backfill['rows']} rows")
    if backfill["error"]:
        say(f"  {backfill['error']}")
    return bool(backfill["state"] == "done")
