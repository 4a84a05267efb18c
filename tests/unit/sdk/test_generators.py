"""Decorated generators: their spans last until they end, and what they yield is recorded."""

from __future__ import annotations

import asyncio
import gc

import pytest

import spanhouse
from spanhouse import _ambient
from tests.unit.sdk.test_decorators import current_span_id


def test_generator_lasts_until_exhausted_and_does_not_leak(recorded):
    seen = []

    @spanhouse.task
    def numbers():
        seen.append(current_span_id())
        with spanhouse.span("inside"):
            yield 1
        seen.append(current_span_id())
        yield 2
        return "done"

    def consume():
        outside = _ambient.current()
        generator = numbers()
        assert next(generator) == 1
        assert _ambient.current() is outside
        assert recorded.spans == []
        assert next(generator) == 2
        with pytest.raises(StopIteration) as stop:
            next(generator)
        assert stop.value.value == "done"

    consume()
    spanhouse.flush(60)
    span = recorded.span("numbers")
    assert seen == [span.span_id, span.span_id]
    assert recorded.span("inside").parent_id == span.span_id
    assert span.json("spanhouse.output") == [1, 2]


def test_generator_send_throw_and_close(recorded):
    log = []

    @spanhouse.task
    def echo():
        received = None
        try:
            while True:
                try:
                    received = yield received
                except KeyError as error:
                    received = f"caught {error.args[0]}"
        finally:
            log.append("closed")

    generator = echo()
    next(generator)
    assert generator.send("a") == "a"
    assert generator.throw(KeyError("k")) == "caught k"
    assert generator.send("b") == "b"
    generator.close()
    assert log == ["closed"]
    spanhouse.flush(60)
    assert recorded.span("echo").status == 0
    assert recorded.span("echo").json("spanhouse.output") == [None, "a", "caught k", "b"]


def test_generator_that_fails_and_one_that_is_forgotten(recorded):
    @spanhouse.task
    def fails():
        yield 1
        raise ConnectionResetError("broken pipe")

    @spanhouse.task
    def forgotten():
        yield 1
        yield 2

    generator = fails()
    next(generator)
    with pytest.raises(ConnectionResetError):
        next(generator)
    leftover = forgotten()
    next(leftover)
    del leftover
    gc.collect()
    spanhouse.flush(60)
    assert recorded.span("fails").status == 2
    assert recorded.span("forgotten").status == 0


async def test_async_generator_send_throw_aclose_and_context(recorded):
    log = []

    @spanhouse.task
    async def echo():
        received = current_span_id()
        try:
            while True:
                try:
                    received = yield received
                    await asyncio.sleep(0)
                except KeyError:
                    received = "caught"
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    generator = echo()
    span_id = await anext(generator)
    assert current_span_id() == "0" * 16
    assert await generator.asend("a") == "a"
    assert await generator.athrow(KeyError()) == "caught"
    await generator.aclose()
    assert log == ["closed"]
    spanhouse.flush(60)
    assert recorded.span("echo").span_id == span_id
    assert recorded.span("echo").status == 0


async def test_async_generator_items_may_come_in_different_tasks(recorded):
    @spanhouse.task
    async def numbers():
        for number in range(3):
            with spanhouse.span(f"item {number}"):
                await asyncio.sleep(0)
            yield number

    generator = numbers()
    assert [await asyncio.create_task(generator.__anext__()) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StopAsyncIteration):
        await asyncio.create_task(generator.__anext__())
    spanhouse.flush(60)
    parent = recorded.span("numbers")
    assert all(recorded.span(f"item {number}").parent_id == parent.span_id for number in range(3))


def test_streams_are_joined_and_bounded(recorded):
    @spanhouse.task
    def tokens():
        yield from ("Hel", "lo ", "world")

    @spanhouse.task
    def flood():
        for _ in range(500):
            yield "x" * 4096

    assert "".join(tokens()) == "Hello world"
    assert sum(len(item) for item in flood()) == 500 * 4096
    spanhouse.flush(60)
    assert recorded.span("tokens").json("spanhouse.output") == "Hello world"
    assert len(recorded.span("flood").attributes["spanhouse.output"]) < 300_000
