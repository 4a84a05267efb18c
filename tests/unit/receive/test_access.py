"""Keys and projects, in every form that senders can be configured with."""

import logging
from base64 import b64encode

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from spanhouse_server.receive.credentials import credentials
from tests.unit.receive import wire

ADMIN = "admin-key-of-the-tests"


def basic(user, password):
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({}, None),
        ({"authorization": "Bearer k1"}, "k1"),
        ({"authorization": "bearer  k1 "}, "k1"),
        ({"authorization": "Bearer%20k1"}, "k1"),
        ({"authorization": "k1"}, "k1"),
        ({"authorization": "Bearer "}, None),
        ({"authorization": basic("pk-lf-1", "k1")}, "k1"),
        ({"authorization": basic("k1", "")}, "k1"),
        ({"authorization": basic("", "k1")}, "k1"),
        ({"authorization": basic("pk", "k1").rstrip("=").replace(" ", "%20")}, "k1"),
        ({"authorization": "Basic !!!"}, None),
        ({"x-api-key": "k1"}, "k1"),
        ({"x-spanhouse-key": "k1", "authorization": "Bearer of-a-proxy", "x-api-key": "x"}, "k1"),
        ({"authorization": "Bearer k1", "x-api-key": "x"}, "k1"),
        ({"x-api-key": "  "}, None),
    ],
)
def test_where_a_key_may_stand(headers, secret):
    assert credentials(headers) == (secret, None)


def test_a_project_name_may_be_encoded():
    assert credentials({"x-spanhouse-project": "my%20shop"}) == (None, "my shop")


@pytest.fixture
def locked(serve):
    """A receiving end that asks for keys, with one project and its key."""
    end = serve(require_keys=True, admin_key=ADMIN, fsync="off")
    project = end.records.create_project("shop")
    _, secret = end.records.create_key(project.id, "ci")
    return end, project.id, secret


BODY = wire.traces().SerializeToString()


def test_http_keys(locked, caplog):
    end, project, secret = locked
    caplog.set_level(logging.DEBUG)

    def send(**headers):
        return end.post("/v1/traces", BODY, **headers)

    missing = send()
    assert missing.status == 401
    assert missing.headers["www-authenticate"].startswith("Bearer")
    code, message = wire.status_of(missing.body, missing.type)
    assert code == 16
    assert "Authorization: Bearer" in message

    wrong = send(authorization="Bearer nobody-has-this-key")
    assert (wrong.status, wire.status_of(wrong.body, wrong.type)[0]) == (401, 16)
    assert b"nobody-has-this-key" not in wrong.body

    crossing = send(authorization=f"Bearer {secret}", x_spanhouse_project="default")
    assert (crossing.status, wire.status_of(crossing.body, crossing.type)[0]) == (403, 7)

    unknown = send(authorization=f"Bearer {ADMIN}", x_spanhouse_project="nowhere")
    assert (unknown.status, wire.status_of(unknown.body, unknown.type)[0]) == (404, 5)
    assert end.entries() == []

    assert send(authorization=f"Bearer {secret}").status == 200
    assert send(x_api_key=secret).status == 200
    assert send(authorization=basic("any", secret), x_spanhouse_project=project).status == 200
    assert send(x_spanhouse_key=ADMIN).status == 200
    assert [entry.project_id for entry in end.entries()] == [project, project, project, "default"]
    assert not [record for record in caplog.records if secret in record.getMessage() or ADMIN in record.getMessage()]


def test_nothing_of_the_body_is_read_without_a_key(locked):
    end, _, _ = locked
    assert end.post("/v1/traces", b"\x00" * 10_000_000).status == 401
    assert end.receiver.in_flight.bytes == 0


def test_json_senders_get_json_refusals(locked):
    end, _, _ = locked
    reply = end.post("/v1/traces", wire.json_traces(wire.json_span()), content_type="application/json")
    assert (reply.status, reply.type) == (401, "application/json")
    assert wire.status_of(reply.body, reply.type)[0] == 16


def test_grpc_keys(locked):
    end, project, secret = locked
    with grpc.insecure_channel(f"127.0.0.1:{end.grpc_port}") as channel:
        stub = TraceServiceStub(channel)
        for metadata, code in (
            ((), grpc.StatusCode.UNAUTHENTICATED),
            ((("authorization", "Bearer wrong-key"),), grpc.StatusCode.UNAUTHENTICATED),
            (
                (("authorization", f"Bearer {secret}"), ("x-spanhouse-project", "default")),
                grpc.StatusCode.PERMISSION_DENIED,
            ),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                stub.Export(wire.traces(), metadata=metadata)
            assert caught.value.code() == code
        stub.Export(wire.traces(), metadata=(("authorization", f"Bearer%20{secret}"),))
        stub.Export(wire.traces(), metadata=(("x-api-key", secret),))
    assert [entry.project_id for entry in end.entries()] == [project, project]
