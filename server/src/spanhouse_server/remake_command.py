"""``spanhouse reprice`` and ``spanhouse remap``: with the stores in this process, or by the running server.

An embedded folder opens in one process only, so when a server holds it, the server is asked to do
the work and watched while it does.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spanhouse_server.clock import MonotonicStamps, now_ns, rfc3339
from spanhouse_server.config import Settings
from spanhouse_server.errors import FolderInUse, NotFound, SpanhouseError, Unavailable
from spanhouse_server.house import ADDRESS_FILE, Stores, open_stores
from spanhouse_server.query.times import parse_time
from spanhouse_server.remake import Job, Remakes
from spanhouse_server.store.own_prices import PriceBooks

POLL_S = 0.5
TIMEOUT_S = 60

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
        address = Path(settings.data_dir) / ADDRESS_FILE
        url = address.read_text("utf-8").strip() if address.is_file() else ""
        if not url:
            raise FolderInUse(error.message, "give the address of the server that runs there with --endpoint") from None
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
    job = _call(settings, f"{url.rstrip('/')}/api/v1/{kind}", body)
    while job["state"] == "running":
        time.sleep(POLL_S)
        job = _call(settings, f"{url.rstrip('/')}/api/v1/remakes/{job['id']}", None)
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


def _call(settings: Settings, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise SpanhouseError(f"{url[:80]!r} is no address of a server", "give it as http://host:port")
    headers = {"content-type": "application/json"}
    if settings.admin_key:
        headers["authorization"] = f"Bearer {settings.admin_key}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=TIMEOUT_S) as answer:  # noqa: S310 - checked above
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as error:
        raise _refused(url, error) from None
    except (OSError, ValueError) as error:
        raise Unavailable(f"the server at {url} does not answer: {error}", "is it running?") from None


def _refused(url: str, error: urllib.error.HTTPError) -> SpanhouseError:
    try:
        told = json.loads(error.read())["error"]
        return SpanhouseError(told["message"], told["hint"])
    except (ValueError, KeyError, TypeError):
        return SpanhouseError(f"{url} answered {error.code}", "is that a Spanhouse server?")
