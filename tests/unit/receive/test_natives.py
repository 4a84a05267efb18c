"""Vendors' own APIs are not served: their clients learn at once, and in their own form, what to do instead."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from spanhouse_server import __version__
from tests.unit.receive.conftest import ReceivingEnd
from tests.unit.receive.test_access import ADMIN


def ask(end: ReceivingEnd, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(end.url + path, method=method, data=body)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


#: As seen from langsmith 0.15.0 (Python) and 0.12.0 (JavaScript), opik 2.2.122, mlflow-tracing 3.17.2, weave 0.54.0 and
#: arize-phoenix-client 3.5.0 with nothing but their address changed.
SEEN = [
    ("POST", "/runs/multipart", "LangSmith", "LANGSMITH_OTEL_ENABLED=true"),
    ("POST", "/runs/batch", "LangSmith", "LANGSMITH_OTEL_ENABLED=true"),
    ("PATCH", "/runs/6f1b2c3d-0000-4000-8000-000000000001", "LangSmith", "/otel/v1/traces"),
    ("POST", "/api/v1/runs/multipart", "LangSmith", "LANGSMITH_OTEL_ENABLED=true"),
    ("POST", "/feedback", "LangSmith", "/api/v1/scores"),
    ("POST", "/v1/private/traces/batch", "Opik", "/opik/api/v1/private/otel/v1/traces"),
    ("POST", "/api/v1/private/spans/batch", "Opik", "/opik/api/v1/private/otel/v1/traces"),
    ("PUT", "/opik/api/v1/private/traces/feedback-scores", "Opik", "/api/v1/scores"),
    ("GET", "/api/2.0/mlflow/experiments/get-by-name", "MLflow", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ("POST", "/api/3.0/mlflow/traces", "MLflow", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ("POST", "/graphql", "Weave", "/otel/v1/traces"),
    ("POST", "/call/upsert_batch", "Weave", "/otel/v1/traces"),
    ("POST", "/v1/span_annotations?sync=true", "Phoenix", "/api/v1/scores"),
    ("GET", "/v1/projects", "Phoenix", "/api/v1"),
    ("POST", "/v1/datasets/upload", "Phoenix", "/api/v1"),
]


@pytest.mark.parametrize(("method", "path", "whose", "advice"), SEEN)
def test_what_is_not_served_says_which_setting_to_change(
    end: ReceivingEnd, method: str, path: str, whose: str, advice: str
) -> None:
    body = None if method == "GET" else bytes(300_000)  # which nobody reads
    status, answer = ask(end, method, path, body)
    # After a 5xx they would try again, LangSmith's create_feedback() for minutes after a 404 too.
    assert status == 400
    assert whose in answer["error"]["message"]
    assert advice in answer["error"]["hint"]
    assert advice in answer["message"]
    assert answer["detail"] == answer["message"]
    assert answer.get("error_code") == ("ENDPOINT_NOT_FOUND" if whose == "MLflow" else None)
    assert end.entries() == []
    assert end.receiver.in_flight.bytes == 0


@pytest.mark.parametrize("path", ["/info", "/api/v1/info"])
def test_langsmith_in_its_otel_mode_asks_for_this_first(serve: Any, path: str) -> None:
    locked = serve(require_keys=True, admin_key=ADMIN, fsync="off")
    assert ask(locked, "GET", path) == (200, {"version": __version__, "instance_flags": {}})
    assert ask(locked, "POST", path, b"{}")[0] == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/traces"), ("POST", "/otel/v1/spans"), ("POST", "/v1/")])
def test_what_is_no_path_of_otlp(end: ReceivingEnd, method: str, path: str) -> None:
    status, answer = ask(end, method, path)
    assert (status, answer["error"]["code"]) == (404, "not_found")
    assert f"{method} {path} is no path of OTLP; POST to /v1/traces" in answer["message"]
