"""Requests signed for AWS arrive as they were signed, whatever policies were asked for."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tests.fakes.upstream import Reply, Upstream
from tests.unit.collector.policy.running import FAST, chain, running

SIGNED = {
    "authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20261101/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host;traceparent;x-amz-date, Signature=abc",
    "x_amz_date": "20261101T000000Z",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "accept_encoding": "gzip",
}
STREAM = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
ENOUGH = 3


async def test_a_signed_request_is_tried_again_but_never_changed(tmp_path) -> None:
    replies = [Reply(503)] * (ENOUGH - 1) + [Reply(chunks=[b"{}"])]
    async with AsyncExitStack() as stack:
        upstream, other = [await stack.enter_async_context(each) for each in (Upstream(*replies), Upstream())]
        proxy = await stack.enter_async_context(running(tmp_path, {"bedrock": upstream.url, "other": other.url}))
        asked = {
            **SIGNED,
            **FAST,
            **chain({"bodyKeyOverride": {"model": "changed"}}, {"target-url": other.url}),
            "Spanhouse_Target_Url": upstream.url,
            "Spanhouse_Stream_Usage": "true",
        }
        answer = await proxy.ask("/gateway/openai/v1/chat/completions", STREAM, **asked)
        assert answer.status == 200
        assert "signed" in answer.headers["Spanhouse-Policy-Warning"]
        assert len(upstream.requests) == ENOUGH
        for request in upstream.requests:
            assert request.body == STREAM
            sent = {name.lower(): value for name, value in request.headers.items()}
            for name, value in SIGNED.items():
                assert sent[name.replace("_", "-")] == value
            assert sent["host"] == upstream.url.removeprefix("http://")
        assert not other.requests


async def test_what_was_signed_for_this_proxy_is_refused(tmp_path) -> None:
    async with Upstream() as upstream, running(tmp_path, {"bedrock": upstream.url}) as proxy:
        answer = await proxy.ask("/bedrock/openai/v1/chat/completions", STREAM, **SIGNED)
        assert (answer.status, answer.headers["spanhouse-error"]) == (400, "signed_request")
        presigned = await proxy.ask("/bedrock/model/m/converse?X-Amz-Signature=abc", STREAM)
        assert presigned.status == 400
        assert not upstream.requests


async def test_the_same_request_unsigned_is_changed_as_asked(tmp_path) -> None:
    async with Upstream(Reply(chunks=[b"{}"])) as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        unsigned = {**SIGNED, "authorization": "Bearer k", "Spanhouse_Stream_Usage": "true"}
        await proxy.ask("/openai/v1/chat/completions", STREAM, **unsigned)
        (request,) = upstream.requests
        assert b"include_usage" in request.body
        assert request.headers["traceparent"] != SIGNED["traceparent"]
