"""/metrics, /healthz and /readyz as a scraper and a load balancer see them."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from spanhouse_server.export import probes, prometheus
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics, timed
from spanhouse_server.spool.contract import SpoolStats


def scrape(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = TestClient(Starlette(routes=prometheus.routes(metrics))).get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_metrics_show_durable_counters_as_they_are_now() -> None:
    stats = SpoolStats(bytes=10, requests=2, oldest_age_s=1.5, received_spans=100, stored_spans=90)
    stats.rejected["all_zero_trace_id"] = 3
    metrics = Metrics(version="1.2.3")
    metrics.watch_ingest(lambda: stats)
    values = scrape(metrics)
    assert values["spanhouse_received_records_total", (("record", "span"),)] == 100
    assert values["spanhouse_stored_spans_total", ()] == 90
    assert values["spanhouse_rejected_records_total", (("reason", "all_zero_trace_id"),)] == 3
    assert values["spanhouse_spool_oldest_age_seconds", ()] == 1.5
    assert values["spanhouse_build_info", (("version", "1.2.3"),)] == 1
    stats.stored_spans = 95
    assert scrape(metrics)["spanhouse_stored_spans_total", ()] == 95


def test_durations_are_observed_even_on_failure() -> None:
    metrics = Metrics()
    try:
        with timed(metrics.query_seconds.labels("traces")):
            raise KeyError
    except KeyError:
        pass
    values = scrape(metrics)
    assert values["spanhouse_query_duration_seconds_count", (("query", "traces"),)] == 1


def test_two_servers_in_one_process_do_not_mix() -> None:
    one, two = Metrics(), Metrics()
    one.http_requests.labels("/x", "GET", "200").inc()
    key = ("spanhouse_http_requests_total", (("method", "GET"), ("route", "/x"), ("status", "200")))
    assert key in scrape(one)
    assert key not in scrape(two)


def test_probes_tell_alive_from_ready() -> None:
    health = Health()
    client = TestClient(Starlette(routes=probes.routes(health)))
    health.expect("spool")
    assert client.get("/healthz").status_code == 200
    waiting = client.get("/readyz")
    assert waiting.status_code == 503
    assert waiting.json()["subsystems"]["spool"]["detail"] == "starting"
    health.report("spool", True)
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
