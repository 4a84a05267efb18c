"""Recorded generators: the span lasts until the generator is exhausted, closed or fails.

Its context is current only while the body runs, never in the consumer between two items; what the
body sets (a session, say) is kept from one item to the next.
"""

from __future__ import annotations

import functools
import time
from typing import Any

from opentelemetry import trace

from spanhouse import _ambient
from spanhouse import _attributes as a
from spanhouse._calls import Call
from spanhouse._core import decide, fail, finish, not_sampled_context, start
from spanhouse._log import warn_rarely
from spanhouse._state import STATE
from spanhouse._streams import Collected


class _Recording:
    """The span of one running generator (or none, when it is not sampled) and the body's context."""

    __slots__ = ("call", "collected", "context", "span", "started", "ttft_s")

    def __init__(self, call: Call, args: Any, kwargs: Any) -> None:
        context = _ambient.current()
        self.call = call
        self.span: trace.Span | None = None
        self.collected: Collected | None = None
        self.started = time.perf_counter()
        self.ttft_s: float | None = None
        sampled = decide(context)
        if sampled:
            self.span = start(call.described, context, call.input(args, kwargs))
            self.context = trace.set_span_in_context(self.span, context)
            # Streams from models are worth reading even where only their facts are kept.
            if self.span.is_recording() and (call.kind == "llm" or (STATE.capture and call.capture_output)):
                self.collected = Collected()
        else:
            self.context = context if sampled is None else not_sampled_context(context)

    def enter(self) -> Any:
        return _ambient.attach(self.context)

    def leave(self, token: Any) -> None:
        self.context = _ambient.current()
        _ambient.detach(token)

    def yielded(self, item: Any) -> None:
        if self.ttft_s is None:
            self.ttft_s = time.perf_counter() - self.started
        if self.collected is not None:
            self.collected.add(item)

    def done(self, error: BaseException | None = None) -> None:
        if self.span is None:
            return
        attributes = self._attributes()
        if error is None or isinstance(error, GeneratorExit):
            finish(self.span, attributes)
        else:
            fail(self.span, error, attributes)

    def _attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        try:
            capture = STATE.capture and self.call.capture_output
            if self.call.kind == "llm":
                found[a.REQUEST_STREAM] = True
                if self.ttft_s is not None:
                    found[a.TIME_TO_FIRST_CHUNK_S] = self.ttft_s
                if self.collected is not None:
                    found.update(self.collected.model_attributes(capture))
            elif self.collected is not None and capture:
                text = self.collected.text()
                if text is not None:
                    found[self.call.described.output_key] = text
        except Exception as error:
            warn_rarely("output", "items of %s could not be recorded: %s", self.call.name, type(error).__name__)
        return found


def wrap_generator(call: Call) -> Any:
    """Return a generator function that records each of its generators."""
    function = call.function

    @functools.wraps(function)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        if not STATE.active:
            return (yield from function(*args, **kwargs))
        recording = _Recording(call, args, kwargs)
        try:
            result = yield from _steps(recording, function(*args, **kwargs))
        except BaseException as error:
            recording.done(error)
            raise
        recording.done()
        return result

    return recorded


def _steps(recording: _Recording, body: Any) -> Any:
    """``yield from body`` as PEP 380 spells it out, with the context around every step."""
    step, argument = body.send, None
    while True:
        token = recording.enter()
        try:
            item = step(argument)
        except StopIteration as stop:
            return stop.value
        finally:
            recording.leave(token)
        recording.yielded(item)
        try:
            argument = yield item
            step = body.send
        except GeneratorExit:
            token = recording.enter()
            try:
                body.close()
            finally:
                recording.leave(token)
            raise
        except BaseException as error:
            step, argument = body.throw, error


def wrap_async_generator(call: Call) -> Any:
    """Return an async generator function that records each of its generators."""
    function = call.function

    @functools.wraps(function)
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        recording = _Recording(call, args, kwargs) if STATE.active else None
        body = function(*args, **kwargs)
        step, argument = body.asend, None
        try:
            while True:
                token = recording.enter() if recording else None
                try:
                    item = await step(argument)
                except StopAsyncIteration:
                    break
                finally:
                    if recording:
                        recording.leave(token)
                if recording:
                    recording.yielded(item)
                try:
                    argument = yield item
                    step = body.asend
                except GeneratorExit:
                    token = recording.enter() if recording else None
                    try:
                        await body.aclose()
                    finally:
                        if recording:
                            recording.leave(token)
                    raise
                except BaseException as error:
                    step, argument = body.athrow, error
        except BaseException as error:
            if recording:
                recording.done(error)
            raise
        if recording:
            recording.done()

    return recorded
