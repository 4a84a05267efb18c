"""``spanhouse doctor``: checks the set-up from outside and says what to mend."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from spanhouse_server.clock import now_ns
from spanhouse_server.config import MIB, Settings
from spanhouse_server.errors import ConfigError, FolderInUse, SpanhouseError
from spanhouse_server.house import lock_data_dir, open_stores
from spanhouse_server.running_server import running_at

WEB_PAGE = Path(__file__).parent / "_web" / "index.html"
TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``hint`` says what to do when it is not well."""

    ok: bool
    what: str
    hint: str = ""


def examine(settings: Settings, say: Callable[[str], None]) -> bool:
    """Check everything, say each finding on a line; return whether all is well."""
    findings = [_python(), _data_dir(settings), _disk(settings), _web()]
    url = _address(settings)
    server = _server(url)
    findings.append(server)
    if server.ok:
        findings.append(_first_span(url, settings))
    else:
        findings += [_port(settings, "http_port"), _port(settings, "grpc_port"), _stores(settings)]
    for finding in findings:
        say(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what}")
        if not finding.ok and finding.hint:
            say(f"      {finding.hint}")
    return all(finding.ok for finding in findings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(sys.version_info >= (3, 11), f"Python {version}", "Spanhouse needs 3.11 or newer")


def _data_dir(settings: Settings) -> Finding:
    folder = Path(settings.data_dir).resolve()
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    writable = os.access(nearest, os.W_OK | os.X_OK)
    return Finding(writable, f"data folder {folder} is writable", "choose another with --data-dir")


def _disk(settings: Settings) -> Finding:
    folder = Path(settings.data_dir).resolve()
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    free_mib = shutil.disk_usage(nearest).free // MIB
    return Finding(
        free_mib > 2 * settings.min_free_disk_mb,
        f"{free_mib} MiB free on the data disk",
        f"below {settings.min_free_disk_mb} MiB senders get 503; make room or set SPANHOUSE_RETENTION_DAYS",
    )


def _web() -> Finding:
    return Finding(WEB_PAGE.exists(), "the web page is built", "run `make web`")


def _port(settings: Settings, name: str) -> Finding:
    port = getattr(settings, name)
    if port <= 0:
        return Finding(True, f"{name}: none asked for")
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, port))
        except OSError as error:
            return Finding(
                False, f"port {port} is free ({error.strerror})", f"choose another with --{name.replace('_', '-')}"
            )
    return Finding(True, f"port {port} is free")


def _stores(settings: Settings) -> Finding:
    try:
        with open_stores(settings) as stores:
            stores.columnar.migrate()
            stores.columnar.select("SELECT 1 AS one")
            damaged = stores.columnar.damaged()
    except ConfigError as error:
        return Finding(False, f"the stores open: {error.message}", error.hint)
    except SpanhouseError as error:
        return Finding(False, f"the stores answer: {error.message}", error.hint)
    if damaged:
        told = ", ".join(f"{parts} of {table}" for table, parts in damaged.items())
        return Finding(
            False, f"parts of the store can be read: {told} cannot", "bring the data folder back from a whole copy"
        )
    return Finding(True, "the stores open and have the newest schema")


def _address(settings: Settings) -> str:
    """Return where the server that has the data folder open listens, else where the settings would have it."""
    if Path(settings.data_dir).is_dir():
        try:
            with lock_data_dir(settings):
                pass
        except FolderInUse as found:
            with suppress(FolderInUse):
                return running_at(settings, found)
        except ConfigError:
            pass  # what is wrong with the folder is a finding of its own
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.http_port}"


def _server(url: str) -> Finding:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=TIMEOUT_S) as answer:  # noqa: S310 - http only
            return Finding(answer.status == 200, f"a server answers at {url}")
    except urllib.error.HTTPError as error:
        return Finding(False, f"the server at {url} is ready (it says {error.code})", "see its log")
    except OSError:
        return Finding(False, f"a server answers at {url}", "start one with `spanhouse serve` (or `make run`)")


def _first_span(url: str, settings: Settings) -> Finding:
    """Send one span and read it back: the whole way works."""
    trace_id = token_hex(16)
    at_ns = now_ns()
    span = {
        "traceId": trace_id,
        "spanId": token_hex(8),
        "name": "spanhouse doctor",
        "kind": 1,
        "startTimeUnixNano": str(at_ns - 1_000_000),
        "endTimeUnixNano": str(at_ns),
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "spanhouse-doctor"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    headers = {"content-type": "application/json"}
    if settings.admin_key:
        headers["authorization"] = f"Bearer {settings.admin_key}"
    try:
        _call(urllib.request.Request(f"{url}/v1/traces", json.dumps(body).encode(), headers))  # noqa: S310
        deadline_ns = now_ns() + TIMEOUT_S * 10**9
        while now_ns() < deadline_ns:
            try:
                _call(urllib.request.Request(f"{url}/api/v1/traces/{trace_id}", headers=headers))  # noqa: S310
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                time.sleep(0.1)
                continue
            delay_s = (now_ns() - at_ns) / 1e9
            return Finding(True, f"a test span was received, stored and read back after {delay_s:.1f} s")
    except (OSError, ValueError) as error:
        return Finding(False, f"a test span can be sent and read back: {error}", "see the server's log")
    return Finding(False, f"a test span is readable within {TIMEOUT_S} s", f"see {url}/api/v1/ingest for what waits")


def _call(request: urllib.request.Request) -> None:
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - built from our own settings
        answer.read()
