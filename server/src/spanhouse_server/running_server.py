"""Asks a running server through its API: for commands that find the data folder in use."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from spanhouse_server.config import Settings
from spanhouse_server.errors import FolderInUse, SpanhouseError, Unavailable
from spanhouse_server.house import ADDRESS_FILE

TIMEOUT_S = 60


def running_at(settings: Settings, found: FolderInUse) -> str:
    """Return the address of the server that has the data folder open; raise ``found`` again if it tells none."""
    address = Path(settings.data_dir) / ADDRESS_FILE
    url = address.read_text("utf-8").strip() if address.is_file() else ""
    if not url:
        raise FolderInUse(found.message, "give the address of the server that runs there with --endpoint") from None
    return url


def ask(settings: Settings, url: str, body: dict[str, Any] | None, method: str = "") -> dict[str, Any]:
    """Return the JSON that a server answers; raise its refusal as our error.

    Without a ``method`` it is a GET, or a POST of ``body``.
    """
    if not url.startswith(("http://", "https://")):
        raise SpanhouseError(f"{url[:80]!r} is no address of a server", "give it as http://host:port")
    headers = {"content-type": "application/json"}
    if settings.admin_key:
        headers["authorization"] = f"Bearer {settings.admin_key}"
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, data, headers, method=method or None)  # noqa: S310 - checked above
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the same
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
