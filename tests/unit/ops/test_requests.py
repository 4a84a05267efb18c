import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.ops.requests import CountRequests


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def client(metrics: Metrics) -> TestClient:
    app = FastAPI()

    @app.get("/traces/{trace_id}")
    def trace(trace_id: str) -> str:
        if trace_id == "bad":
            raise RuntimeError
        return trace_id

    async def plain(_):
        return PlainTextResponse("ok")

    app.router.routes.append(Route("/plain/{name}", plain))
    app.add_middleware(CountRequests, metrics=metrics)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/traces/1", "/traces/{trace_id}", "200"),
        ("/traces/bad", "/traces/{trace_id}", "500"),
        ("/plain/x", "plain", "200"),
        ("/nowhere/1234", "unmatched", "404"),
    ],
)
def test_requests_are_counted_by_template(client: TestClient, metrics: Metrics, path, route, status) -> None:
    client.get(path)
    client.get(path)
    value = metrics.registry.get_sample_value
    assert value("spanhouse_http_requests_total", {"route": route, "method": "GET", "status": status}) == 2
    assert value("spanhouse_http_request_duration_seconds_count", {"route": route}) == 2


def test_methods_from_outside_do_not_make_series(client: TestClient, metrics: Metrics) -> None:
    for number in range(3):
        client.request(f"METHOD{number}", "/nowhere")
    labels = {"route": "unmatched", "method": "other", "status": "404"}
    assert metrics.registry.get_sample_value("spanhouse_http_requests_total", labels) == 3
