"""The dashboard in a real browser against a real server. Each journey is a ``web/e2e/*.spec.mjs``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.seed import seed
from tests.server import Server, running

WEB = Path(__file__).resolve().parents[2] / "web"
BUILD = WEB.parent / "server/src/spanhouse_server/_web/index.html"
TIMEOUT_S = 420
KEY = "secret-admin-key-of-the-tests"


# The one about projects makes a second, so that those after it run with the menu to choose one.
JOURNEYS = ("list", "trace", "live", "outage", "hostile", "media", "subpath", "figures", "projects", "alerts", "axe")


def run_spec(name: str, server: Server, seeded: dict[str, Any], **env: str) -> str:
    """Run one journey; its own report is the failure's message."""
    node = shutil.which("node")
    assert node, "the browser tests need Node 20 or newer"
    assert BUILD.exists(), "the page is not built: run `make web`"
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    assert Path(chromium).exists(), f"no Chromium at {chromium}: install it, or set CHROMIUM to its path"
    process = subprocess.Popen(
        [node, f"e2e/{name}.spec.mjs"],
        cwd=WEB,
        env=os.environ
        | {"SPANHOUSE_URL": server.url, "SPANHOUSE_SEEDED": json.dumps(seeded), "CHROMIUM": chromium}
        | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        report, _ = process.communicate(timeout=TIMEOUT_S)
    finally:
        # The browser belongs to the journey's process group: nothing of it may outlive the test.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, f"{name}\n{report}\n" + "".join(server.output[-20:])
    return report


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, Any]]]:
    with running(tmp_path_factory.mktemp("house")) as server:
        yield server, seed(server)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "house") as server:
        yield server


def test_a_newcomer_reads_the_first_trace(empty: Server) -> None:
    run_spec("setup", empty, {})


@pytest.mark.parametrize("journey", JOURNEYS)
def test_journey(house: tuple[Server, dict[str, Any]], journey: str) -> None:
    run_spec(journey, *house)


def test_ten_thousand_spans_stay_within_the_budgets(house: tuple[Server, dict[str, Any]]) -> None:
    print(run_spec("big", *house))


def test_login_where_keys_are_required(tmp_path: Path) -> None:
    with running(tmp_path / "house", "--require-keys", env={"SPANHOUSE_ADMIN_KEY": KEY}) as server:
        run_spec("login", server, {}, SPANHOUSE_KEY=KEY)
