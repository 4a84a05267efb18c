from __future__ import annotations

import logging

import pytest

import spanhouse
from spanhouse import _log
from tests.unit.sdk.capture import CaptureServer


@pytest.fixture(autouse=True)
def _clean_slate():
    """No test inherits another's recording, warnings or context."""
    spanhouse.shutdown(timeout_s=0.1)
    _log._last.clear()
    yield
    spanhouse.shutdown(timeout_s=0.1)


@pytest.fixture
def server():
    with CaptureServer() as capture:
        yield capture


@pytest.fixture
def recorded(server):
    """A server, and the SDK sending to it; `.spans` after `spanhouse.flush()`."""
    spanhouse.init(server.url, service_name="test", instrument=False)
    return server


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="spanhouse")
    return caplog
