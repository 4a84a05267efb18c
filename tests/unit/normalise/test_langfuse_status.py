"""What Langfuse's SDKs say of an error is the span's status, whichever way they say it."""

from __future__ import annotations

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span

#: As @langfuse/tracing 5.11.1 sends ``{level: "ERROR", statusMessage: "oops"}``: the status of the span stays unset.
FAILED = {
    "langfuse.observation.type": "span",
    "langfuse.observation.level": "ERROR",
    "langfuse.observation.status_message": "oops",
}


@pytest.mark.parametrize(
    ("attributes", "status", "expected"),
    [
        (FAILED, {}, ("error", "oops")),
        (FAILED, {"status_code": "error", "status_message": "its own"}, ("error", "its own")),
        (FAILED | {"langfuse.observation.level": "WARNING"}, {}, ("unset", "")),
        (FAILED | {"langfuse.observation.status_message": 7}, {}, ("error", "7")),
    ],
)
def test_status(attributes: dict[str, object], status: dict[str, str], expected: tuple[str, str]) -> None:
    span = normalise(raw_span(attributes, **status))
    assert (span.raw.status_code, span.raw.status_message) == expected
