"""The way of one call through the proxy.

    admit -> route -> sort headers out -> [policy] -> exchange with the upstream -> answer, piece by piece
                                                      └ a copy of everything to the tee

What comes from the upstream goes to the client as it is; the proxy answers by itself only where there
is nothing to pass on. Two headers are added to answers: ``Spanhouse-Call-Id`` and
``Spanhouse-Overhead-Ms``.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from spanhouse_collector.errors import ClientGone, CollectorError, ForbiddenTarget, Refused, UpstreamError
from spanhouse_collector.parse.contract import CallEnd, Outcome
from spanhouse_collector.parse.include_usage import UsageFrameFilter
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.answers import refusal
from spanhouse_collector.proxy.calls import call_start, call_url, child_traceparent, guarded
from spanhouse_collector.proxy.control import warnings_for
from spanhouse_collector.proxy.exchange import ClientBody, Exchange, Receive
from spanhouse_collector.proxy.headers import RawHeaders, response_headers, sort_out
from spanhouse_collector.proxy.hook import REPLAYABLE_BYTES, Answer, Attempt, Call, CallPolicy
from spanhouse_collector.proxy.http1 import Head
from spanhouse_collector.proxy.stream_usage import ask_for_usage_in, may_filter, wants_usage
from spanhouse_collector.proxy.tee import CallTee
from spanhouse_collector.proxy.upstreams import Upstream

if TYPE_CHECKING:
    from spanhouse_collector.proxy.relay import Relay

log = logging.getLogger("spanhouse.proxy")

#: So much a connection takes at once; whether more than that arrived is waited for.
TAKEN_AT_ONCE_BYTES = 16 * 1024

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Passage:
    """One call on its way."""

    def __init__(self, relay: Relay, scope: Scope, receive: Receive, send: Send) -> None:
        self._begun_ns = perf_counter_ns()
        #: What to add to ``perf_counter_ns`` for ns since 1970: one clock for all times of a call.
        self._offset_ns = time.time_ns() - self._begun_ns
        self._relay = relay
        self._scope = scope
        self._receive = receive
        self._send = send
        self._call: Call | None = None
        self._tee: CallTee | None = None
        self._policy: CallPolicy | None = None
        self._exchange: Exchange | None = None
        self._before_ns = 0
        self._overhead_ns: int | None = None
        self._answering = False
        self._status = 0
        self._rest = b""
        self._asked: Upstream | None = None
        self._filter: UsageFrameFilter | None = None
        self._ended: CallEnd | None = None
        self._unsent: Mapping[str, Callable[[], Any]] = (scope.get("extensions") or {}).get("spanhouse.unsent", {})
        #: The end that was told holds; an answer whose last bytes may not reach the client may end otherwise.
        self._sure = True

    async def run(self, raw_path: bytes) -> None:
        """Pass the call on; raise ``Refused``, ``UpstreamError`` or ``ClientGone`` while unanswered."""
        call = self._call = await self._open(raw_path)
        metrics = self._relay.metrics
        metrics.open_calls.inc()
        outcome: Outcome = "upstream_error"
        error_type = message = ""
        try:
            await self._relayed(call)
            outcome = "complete"
        except ClientGone as error:
            outcome, error_type, message = "client_disconnected", "client_disconnected", error.message
        except Refused as error:
            outcome, error_type, message = "refused", error.code, error.message
            raise
        except UpstreamError as error:
            outcome = "timeout" if error.error_type == "timeout" else "upstream_error"
            error_type, message = error.error_type, error.message
            if not self._answering:
                raise
            await self._break()
        except BaseException as error:
            # A cancelled task (the server stops) or a fault of ours.
            error_type = type(error).__name__
            raise
        finally:
            if self._exchange is not None:
                self._exchange.close()
            metrics.open_calls.dec()
            self._end(call, outcome, error_type, message)

    async def refuse(self, error: CollectorError) -> None:
        """Answer for the proxy itself."""
        answer = refusal(error)
        call_headers = self._own_headers() if self._call is not None else []
        await self._answer(Answer(answer.status, answer.headers + call_headers, answer.chunks))
        if self._call is None:
            self._relay.metrics.calls.labels("", "refused", str(answer.status)).inc()

    # The steps ------------------------------------------------------------------------------------

    async def _open(self, raw_path: bytes) -> Call:
        relay, scope = self._relay, self._scope
        headers: RawHeaders = scope["headers"]
        call_id = os.urandom(16).hex()
        head = sort_out(headers)
        method = scope["method"].encode()
        project = await relay.admit(method, headers, head)
        route = relay.router.route(raw_path, scope["query_string"], headers, head.own)
        self._rest = route.rest
        child = child_traceparent(call_id, head, headers, scope["query_string"])
        head.address(route.upstream.host_header, child)
        client = scope.get("client")
        return Call(
            call_id=call_id,
            number=relay.next_number(),
            provider=route.upstream.name,
            method=method,
            upstream=route.upstream,
            path=route.path,
            query=scope["query_string"],
            headers=headers,
            head=head,
            project=project,
            started_ns=self._begun_ns + self._offset_ns,
            child_traceparent=child,
            client_address=client[0] if client else "",
            extra_headers=warnings_for(headers, head.own),
        )

    async def _relayed(self, call: Call) -> None:
        policy = self._policy = guarded(self._relay.policy.open, call)
        self._start_tee(call, policy)
        trailers = (self._scope.get("extensions") or {}).get("spanhouse.request.trailers", [])
        body = ClientBody(self._receive, trailers, call.head.has_body, self._saw_request)
        answer = await self._before(call, policy, body) if policy is not None else None
        if answer is not None:
            self._copy_head(answer.status, answer.headers)
            self._overhead_ns = perf_counter_ns() - self._begun_ns
            answer.headers.extend(self._own_headers())
            await self._answer(answer)
            return
        if wants_usage(call, self._relay.include_usage):
            self._filter = await ask_for_usage_in(call, body)
        head = await self._attempts(call, policy, body)
        await self._pass_answer(call, policy, head)

    def _start_tee(self, call: Call, policy: CallPolicy | None) -> None:
        reports = policy is not None and policy.reports
        if reports and policy is not None:
            self._relay.expect_report(call.number, policy)
        self._asked = call.upstream
        self._tee = self._relay.tee.start(
            call.number,
            call.started_ns,
            call_start(call, self._rest, reports=reports),
        )

    def _saw_request(self, data: bytes) -> None:
        if self._tee is not None:
            self._tee.part(frames.REQUEST_CHUNK, data, self._now_ns())

    async def _before(self, call: Call, policy: CallPolicy, body: ClientBody) -> Answer | None:
        """Let the policy see the call first."""
        if policy.needs_body:
            call.body = await body.whole(REPLAYABLE_BYTES)
        upstream, headers = call.upstream, call.headers
        try:
            answer = await policy.before(call)
        except Refused:
            raise
        except Exception:
            log.exception("a policy failed; the call goes on without it")
            self._policy = None
            answer = None
        if call.upstream is not upstream or call.headers is not headers:
            self._sort_out_again(call)
        return answer

    def _sort_out_again(self, call: Call) -> None:
        own = call.head.own
        call.head = sort_out(call.headers)
        call.head.own = own
        call.head.address(call.upstream.host_header, call.child_traceparent)

    async def _attempts(self, call: Call, policy: CallPolicy | None, body: ClientBody) -> Head:
        """Ask the upstream; again only where a policy says so and the body can be sent again."""
        number = 0
        self._before_ns = perf_counter_ns() - self._begun_ns - body.waited_ns
        while True:
            exchange = self._exchange = Exchange(self._relay.pool, call, body)
            head: Head | None = None
            failure: UpstreamError | None = None
            try:
                head = await exchange.start()
            except UpstreamError as error:
                failure = error
            if policy is None or (call.body is None and call.head.has_body) or self._policy is None:
                again = False
            else:
                upstream, headers = call.upstream, call.headers
                again = await self._again(policy, call, Attempt(head, failure, number))
                if again and (call.upstream is not upstream or call.headers is not headers):
                    self._sort_out_again(call)
            if not again:
                if head is None:
                    assert failure is not None  # noqa: S101 - one of the two is there
                    raise failure
                return head
            exchange.close()
            if body.gone:
                raise ClientGone("the client closed the connection while its call was to be tried again")
            number += 1

    async def _again(self, policy: CallPolicy, call: Call, attempt: Attempt) -> bool:
        try:
            return await policy.attempted(call, attempt)
        except ForbiddenTarget:
            raise
        except Exception:
            log.exception("a policy failed; the call goes on without it")
            self._policy = None
            return False

    async def _pass_answer(self, call: Call, policy: CallPolicy | None, head: Head) -> None:
        """Hand the answer to the client, piece by piece."""
        exchange = self._exchange
        assert exchange is not None  # noqa: S101 - tells the type checker
        connection, send, tee = exchange.connection, self._send, self._tee
        assert tee is not None  # noqa: S101 - tells the type checker
        offset_ns = self._offset_ns
        tee.request_end(exchange.sent_ns + offset_ns)
        headers = response_headers(head.headers, head.status)
        withheld = self._filter if self._filter is not None and may_filter(head) else None
        if withheld is not None:
            headers = [header for header in headers if header[0] != b"content-length"]
        tee.response_start(head.status, head.headers, head.at_ns + offset_ns)
        now_ns = perf_counter_ns()
        # Earlier tries and the pauses between them are the policy's doing, not the relay's cost.
        self._overhead_ns = self._before_ns + exchange.own_ns + (now_ns - head.at_ns)
        headers += self._own_headers()
        headers += call.extra_headers
        self._status = head.status
        self._answering = True
        trailers = "http.response.trailers" in (self._scope.get("extensions") or ())
        # An answer that is here as a whole is on record before the client sees its head, which may be all there is.
        piece = await self._piece(call, policy, withheld) if connection.ended else None
        await send({"type": "http.response.start", "status": head.status, "headers": headers, "trailers": trailers})
        while True:
            data, ended = piece or await self._piece(call, policy, withheld)
            await send({"type": "http.response.body", "body": data, "more_body": not ended})
            if ended:
                break
        if trailers:
            await send({"type": "http.response.trailers", "headers": connection.trailers, "more_trailers": False})
        if not self._sure:
            exchange.close()
            if not await self._unsent["taken"]():
                raise ClientGone("the client closed the connection before it took the end of its answer")

    async def _piece(
        self, call: Call, policy: CallPolicy | None, withheld: UsageFrameFilter | None
    ) -> tuple[bytes, bool]:
        """Return what the client gets next and whether that is all: then it is on record before the client gets it."""
        assert self._exchange is not None  # noqa: S101 - tells the type checker
        assert self._tee is not None  # noqa: S101 - tells the type checker
        connection, tee = self._exchange.connection, self._tee
        data = await connection.read()
        ended = connection.ended
        if data:
            tee.part(frames.RESPONSE_CHUNK, data, self._now_ns())
        if withheld is not None:
            data = withheld.feed(data) + (withheld.finish() if ended else b"")
        if data and policy is not None:
            guarded(policy.response_chunk, data)
        if ended:
            sure = not self._unsent or self._unsent["bytes"]() + len(data) <= TAKEN_AT_ONCE_BYTES
            self._end_copy(call, "complete", sure=sure)
        else:
            tee.hand_over()
        return data, ended

    # Ends -----------------------------------------------------------------------------------------

    async def _answer(self, answer: Answer) -> None:
        self._status = answer.status
        self._answering = True
        if self._tee is not None:
            for chunk in answer.chunks:
                self._tee.part(frames.RESPONSE_CHUNK, chunk, self._now_ns())
        if self._call is not None:
            self._end_copy(self._call, "complete")
        await self._send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        for chunk in answer.chunks:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _copy_head(self, status: int, headers: RawHeaders) -> None:
        if self._tee is not None:
            self._tee.request_end(self._now_ns())
            self._tee.response_start(status, list(headers), self._now_ns())

    async def _break(self) -> None:
        """Break the client's connection as the upstream broke ours: an answer must not look whole."""
        abort = (self._scope.get("extensions") or {}).get("spanhouse.abort")
        if abort is None:
            raise ConnectionAbortedError("the upstream broke off; so does this answer")
        abort["call"]()

    def _own_headers(self) -> RawHeaders:
        call = self._call
        if call is None:
            return []
        own = [(b"spanhouse-call-id", call.call_id.encode())]
        if self._overhead_ns is not None:
            own.append((b"spanhouse-overhead-ms", b"%.3f" % (self._overhead_ns / 1e6)))
        return own

    def _end_copy(
        self, call: Call, outcome: Outcome, error_type: str = "", message: str = "", *, sure: bool = True
    ) -> None:
        """Note how the call ended, before the client gets its last bytes; only the first time that is ``sure`` counts."""
        if self._ended is not None and self._sure:
            return
        self._sure = sure
        self._ended = CallEnd(
            outcome=outcome,
            at_ns=self._now_ns(),
            error_type=error_type,
            error_message=message,
            overhead_ns=self._overhead_ns,
            retry_count=call.retry_count,
            cache_hit=call.cache_hit,
            fallback_index=call.fallback_index,
        )
        if self._tee is not None:
            moved = call.upstream is not self._asked
            self._tee.end(self._ended, (call.provider, call_url(call)) if moved else None, sure=sure)

    def _end(self, call: Call, outcome: Outcome, error_type: str, message: str) -> None:
        metrics = self._relay.metrics
        self._end_copy(call, outcome, error_type, message)
        if self._policy is not None and self._ended is not None:
            guarded(self._policy.ended, call, self._ended)
        metrics.calls.labels(call.provider, outcome, str(self._status or "")).inc()
        metrics.duration_s.labels(call.provider).observe((perf_counter_ns() - self._begun_ns) / 1e9)
        if self._overhead_ns is not None:
            metrics.overhead_s.labels(call.provider).observe(self._overhead_ns / 1e9)

    def _now_ns(self) -> int:
        return perf_counter_ns() + self._offset_ns
