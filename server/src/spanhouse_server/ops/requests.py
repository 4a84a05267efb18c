"""Counts and times every HTTP request: an ASGI middleware without a request or response object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

from spanhouse_server.ops.metrics import Metrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class CountRequests:
    """Wraps the application; add it outermost: ``app.add_middleware(CountRequests, metrics=…)``.

    The time counted ends with the head of the answer, since event streams stay open for hours.
    """

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        counted = False

        def count(status: int) -> None:
            nonlocal counted
            counted = True
            route = _route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.http_requests.labels(route, method, str(status)).inc()
            self._metrics.http_seconds.labels(route).observe(perf_counter() - begun)

        async def counting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, counting_send)
        finally:
            # The server answers 500 on its own when the application raised before it began to answer.
            if not counted:
                count(500)


def _route(scope: Scope) -> str:
    """Return the route's template: paths themselves would make a new series for every trace."""
    template = getattr(scope.get("route"), "path", None)
    if template:
        return str(template)
    endpoint = scope.get("endpoint")
    return getattr(endpoint, "__name__", type(endpoint).__name__) if endpoint else "unmatched"
