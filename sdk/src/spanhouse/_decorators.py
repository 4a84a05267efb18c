"""The decorators, for plain, async, generator and async generator functions and methods."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from opentelemetry import trace as otel_trace

from spanhouse import _ambient
from spanhouse._calls import Call
from spanhouse._core import decide, enter, fail, finish, not_sampled_context, start
from spanhouse._generators import wrap_async_generator, wrap_generator
from spanhouse._state import STATE

F = TypeVar("F", bound=Callable[..., Any])


def _decorator(kind: str, doc: str) -> Any:
    @overload
    def decorate(function: F, /) -> F: ...
    @overload
    def decorate(
        function: None = None,
        /,
        *,
        name: str | None = None,
        capture_input: bool = True,
        capture_output: bool = True,
        attributes: Mapping[str, Any] | None = None,
    ) -> Callable[[F], F]: ...
    def decorate(
        function: Any = None,
        /,
        *,
        name: str | None = None,
        capture_input: bool = True,
        capture_output: bool = True,
        attributes: Mapping[str, Any] | None = None,
    ) -> Any:
        if isinstance(function, str):
            raise TypeError(f'give the name by keyword: @spanhouse.{decorate.__name__}(name="{function}")')

        def apply(target: Any) -> Any:
            return wrap(target, kind, name, attributes, capture_input, capture_output)

        return apply if function is None else apply(function)

    decorate.__doc__ = doc
    return decorate


_OPTIONS = """

    Usable bare or with ``name`` (default: the function's), ``capture_input`` and ``capture_output``
    (``False`` keeps arguments or result off the span), and ``attributes`` (put on every span)."""


def _named(name: str, kind: str, doc: str) -> Any:
    decorator = _decorator(kind, doc + _OPTIONS)
    decorator.__name__ = decorator.__qualname__ = name
    return decorator


trace = _named("trace", "span", "Record calls of a function as spans.")
workflow = _named("workflow", "workflow", "Record calls as runs of a workflow: the whole of one answer or job.")
agent = _named("agent", "agent", "Record calls as invocations of an agent.")
tool = _named("tool", "tool", "Record calls as tool executions, with arguments and result.")
task = _named("task", "task", "Record calls as steps of a workflow.")
llm = _named("llm", "llm", "Record calls as model calls; model, usage and messages are read from known answers.")
retriever = _named("retriever", "retriever", "Record calls as retrievals; the documents are read from the result.")


def wrap(
    target: Any,
    kind: str,
    name: str | None,
    attributes: Mapping[str, Any] | None,
    capture_input: bool,
    capture_output: bool,
) -> Any:
    """Return ``target`` recorded as ``kind``, of the same nature (async, generator, static or class method)."""
    if isinstance(target, (staticmethod, classmethod)):
        inner = wrap(target.__func__, kind, name, attributes, capture_input, capture_output)
        return type(target)(inner)
    if isinstance(target, type) or not callable(target):
        raise TypeError(f"only functions and methods can be decorated, not {target!r}")
    call = Call(target, kind, name, attributes, capture_input, capture_output)
    if inspect.isasyncgenfunction(target):
        return wrap_async_generator(call)
    if inspect.isgeneratorfunction(target):
        return wrap_generator(call)
    # An object with an async ``__call__`` is called like a coroutine function.
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(type(target).__call__):
        return _wrap_coroutine(call)
    return _with_extras(_wrap_function(call), target)


def _with_extras(recorded: Any, target: Any) -> Any:
    """Give the wrapper of an object that is no plain function (``functools.lru_cache``) its further methods."""
    if not isinstance(target, types.FunctionType):
        for name in dir(type(target)):
            if not name.startswith("_") and not hasattr(recorded, name):
                setattr(recorded, name, getattr(target, name))
    return recorded


def _begin(call: Call, context: Any, args: Any, kwargs: Any) -> otel_trace.Span:
    if STATE.sampler_decides:
        # The host's sampler may drop it: look before spending time on the arguments.
        span = start(call.described, context)
        if span.is_recording():
            attributes = call.input(args, kwargs)
            if attributes:
                span.set_attributes(attributes)
        return span
    return start(call.described, context, call.input(args, kwargs))


def _wrap_function(call: Call) -> Any:
    function = call.function

    @functools.wraps(function)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        if not STATE.active:
            return function(*args, **kwargs)
        context = _ambient.current()
        sampled = decide(context)
        if not sampled:
            if sampled is None:
                return function(*args, **kwargs)
            token = _ambient.attach(not_sampled_context(context))
            try:
                return function(*args, **kwargs)
            finally:
                _ambient.detach(token)
        span = _begin(call, context, args, kwargs)
        token = enter(context, span)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            _ambient.detach(token)
            fail(span, error)
            raise
        _ambient.detach(token)
        finish(span, call.output(result) if span.is_recording() else None)
        return result

    return recorded


def _wrap_coroutine(call: Call) -> Any:
    function = call.function

    @functools.wraps(function)
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        if not STATE.active:
            return await function(*args, **kwargs)
        context = _ambient.current()
        sampled = decide(context)
        if not sampled:
            if sampled is None:
                return await function(*args, **kwargs)
            token = _ambient.attach(not_sampled_context(context))
            try:
                return await function(*args, **kwargs)
            finally:
                _ambient.detach(token)
        span = _begin(call, context, args, kwargs)
        token = enter(context, span)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            _ambient.detach(token)
            fail(span, error)
            raise
        _ambient.detach(token)
        finish(span, call.output(result) if span.is_recording() else None)
        return result

    return recorded
