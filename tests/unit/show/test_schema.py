"""Replies are what the OpenAPI document promises, for requests that a machine made up."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from spanhouse_server.show.openapi import document
from tests.stored import hex_id
from tests.unit.show.conftest import House

KNOWN = {"trace_id": hex_id("a"), "span_id": hex_id("a/llm", 16), "session_id": "s/1", "user_id": "ann"}
LOCAL = {"host": "127.0.0.1"}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
]


# The live stream never ends, so it cannot be called like this.
schema = schemathesis.openapi.from_dict(document()).exclude(operation_id="watchTraces")


@schema.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
def test_made_up_requests_are_answered_as_promised(case: Any, house: House) -> None:
    # Half of the made-up ids become real ones: else nothing but 404 would be seen.
    if case.path_parameters and len(str(case.query)) % 2:
        case.path_parameters = {name: KNOWN.get(name, value) for name, value in case.path_parameters.items()}
    reply = case.call_and_validate(app=house.app, base_url="http://127.0.0.1", headers=LOCAL, checks=CHECKS)
    assert reply.status_code < 500
