"""The response cache: the same request of the same tenant, and nothing else, gets the same answer."""

import asyncio
import sqlite3
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.policy.cache import ResponseCache, cache_key
from spanhouse_collector.policy.cache_file import CacheFile
from spanhouse_collector.policy.headers import CacheAsk

S = 1_000_000_000
JSON = [
    ("Content-Type", "application/json"),
    ("Set-Cookie", "a=b"),
    ("x-ratelimit-remaining", "3"),
    ("X-Request-Id", "r"),
]
SSE = [("content-type", "text/event-stream; charset=utf-8")]
BODY = b'{"model":"m","user":"u"}'


def key(ask: CacheAsk = CacheAsk(), **changed):  # noqa: B008
    parts = {
        "tenant": "t", "origin": "openai", "method": "POST", "path": "/v1/chat", "query": "", "body": BODY,
        "headers": [("authorization", "Bearer k"), ("content-type", "application/json"), ("user-agent", "x")],
    }  # fmt: skip
    return cache_key(ask, **(parts | changed))


def record(cache: ResponseCache, at, ask: CacheAsk, chunks, headers=JSON, status=200):
    recorder = cache.recorder(at, ask, status, headers)
    if recorder is None:
        return None
    for chunk in chunks:
        recorder.chunk(chunk)
    return recorder.complete()


async def test_an_answer_is_replayed_chunk_for_chunk() -> None:
    cache, ask = ResponseCache(1_000_000), CacheAsk()
    assert await cache.lookup(key(), ask) is None
    chunks = [b'data: {"a":1}\n', b"\nda", b"ta: [DONE]\n\n"]
    assert record(cache, key(), ask, chunks, SSE) == "kept"
    answer = await cache.lookup(key(), ask)
    assert answer.chunks == tuple(chunks)
    assert (answer.status, answer.headers, answer.bucket) == (200, tuple(SSE), 0)
    assert (cache.hits, cache.misses) == (1, 1)


async def test_headers_of_one_exchange_are_not_replayed() -> None:
    cache, ask = ResponseCache(1_000_000), CacheAsk()
    record(cache, key(), ask, [b"{}"])
    answer = await cache.lookup(key(), ask)
    assert [name for name, _ in answer.headers] == ["Content-Type", "X-Request-Id"]


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant": "other"}, {"origin": "azure"}, {"method": "GET"}, {"path": "/v1/chat/"}, {"query": "a=1"},
        {"body": BODY + b" "}, {"headers": [("authorization", "Bearer other"), ("content-type", "application/json")]},
        {"headers": []}, {"ask": CacheAsk(seed="s")}, {"ask": CacheAsk(buckets=2)},
        {"headers": [("authorization", "Bearer k"), ("content-type", "application/json"), ("accept", "text/event-stream")]},
    ],
)  # fmt: skip
def test_whatever_changes_the_answer_changes_the_key(changed) -> None:
    assert key(**changed).digest != key().digest


def test_what_does_not_matter_does_not_change_the_key() -> None:
    headers = [("Content-Type", "application/json"), ("user-agent", "y"), ("Authorization", "Bearer k")]
    assert key(headers=headers) == key()


def test_fields_do_not_run_into_each_other() -> None:
    assert key(tenant="a", origin="bc").digest != key(tenant="ab", origin="c").digest


def test_ignored_keys_do_not_matter() -> None:
    ask = CacheAsk(ignore_keys=("user",))
    assert key(ask, body=b'{"user": "x", "model": "m"}') == key(ask, body=b'{"model":"m","user":"y"}')
    assert key(ask, body=b'{"model":"m"}').digest != key(ask, body=b'{"model":"n"}').digest
    assert key(ask, body=b"\xff").digest != key(ask, body=b"\xfe").digest


@pytest.mark.parametrize(
    ("status", "headers", "chunks", "expected"),
    [
        (404, JSON, [b"{}"], None),
        (302, JSON, [b""], None),
        (206, JSON, [b"x"], None),
        (200, [*SSE, ("content-encoding", "gzip")], [b"\x1f\x8b"], None),
        (200, SSE, [b"event: er", b"ror\ndata: {}\n\n"], "error_inside"),
        (200, SSE, [b'data: {"id":1,"err', b'or": {"code":500}}\n\n'], "error_inside"),
        (200, SSE, [b'data: {"error":null,"text":"say \\"error\\": {"}\n\n'], "kept"),
        (200, [("content-type", "application/x-ndjson")], [b'{"error":"gone"}\n'], "error_inside"),
        (200, [("content-type", "application/vnd.amazon.eventstream")], [b"\0\0:exception-type\7"], "error_inside"),
        (200, [("content-type", "application/json"), ("content-encoding", "gzip")], [b"\x1f\x8b"], "kept"),
        (200, JSON, [b"x" * 5000], "too_large"),
    ],
)
async def test_only_complete_good_answers_are_kept(status, headers, chunks, expected) -> None:
    cache, ask = ResponseCache(4_000), CacheAsk()
    assert record(cache, key(), ask, chunks, headers, status) == expected
    assert (await cache.lookup(key(), ask) is not None) == (expected == "kept")


async def test_an_answer_that_broke_off_leaves_nothing() -> None:
    cache, ask = ResponseCache(1_000_000), CacheAsk()
    cache.recorder(key(), ask, 200, JSON).chunk(b'{"half":')
    assert await cache.lookup(key(), ask) is None
    assert cache.used_bytes == 0


async def test_the_age_is_bounded_by_writer_and_reader() -> None:
    now = [1_800_000_000 * S]
    cache = ResponseCache(1_000_000, clock=lambda: now[0])
    record(cache, key(), CacheAsk(ttl_s=100), [b"{}"])
    now[0] += 60 * S
    assert await cache.lookup(key(), CacheAsk(ttl_s=50)) is None
    answer = await cache.lookup(key(), CacheAsk(ttl_s=1000))
    assert answer.age_s(now[0]) == 60
    now[0] += 40 * S
    assert await cache.lookup(key(), CacheAsk(ttl_s=1000)) is None


async def test_buckets_fill_before_one_is_picked() -> None:
    cache, ask = ResponseCache(1_000_000), CacheAsk(buckets=3)
    for number in range(3):
        assert await cache.lookup(key(ask), ask) is None
        record(cache, key(ask), ask, [b"%d" % number])
    seen = {(await cache.lookup(key(ask), ask)).chunks for _ in range(100)}
    assert seen == {(b"0",), (b"1",), (b"2",)}


async def test_the_least_recently_used_goes_first() -> None:
    ask = CacheAsk()
    cache = ResponseCache(4_000)
    for path in ("/a", "/b"):
        record(cache, key(path=path), ask, [b"x" * 500])
    assert await cache.lookup(key(path="/a"), ask)
    record(cache, key(path="/c"), ask, [b"x" * 500])
    present = [await cache.lookup(key(path=path), ask) is not None for path in ("/a", "/b", "/c")]
    assert present == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 900), st.integers(1, 3)), max_size=60))
def test_memory_is_bounded_whatever_is_recorded(entries) -> None:
    cache = ResponseCache(4_000)
    for number, size, buckets in entries:
        ask = CacheAsk(buckets=buckets)
        record(cache, key(ask, path=f"/{number}"), ask, [b"x" * size])
    held = sum(answer.size_bytes for entry in cache._entries.values() for answer in entry.values())
    assert held == cache.used_bytes <= 4_000


async def test_an_entry_of_another_tenant_is_not_served_even_under_the_same_hash() -> None:
    cache, ask = ResponseCache(1_000_000), CacheAsk()
    record(cache, key(), ask, [b"{}"])
    forged = type(key())("other", key().digest)
    assert await cache.lookup(forged, ask) is None


async def test_answers_outlive_the_process_in_a_file(tmp_path) -> None:
    ask = CacheAsk()
    file = CacheFile(tmp_path / "cache.db", 1_000_000)
    cache = ResponseCache(1_000_000, store=file)
    record(cache, key(), ask, [b"one", b"two"], SSE)
    await cache.close()
    file.close()
    file = CacheFile(tmp_path / "cache.db", 1_000_000)
    cache = ResponseCache(1_000_000, store=file)
    answer = await cache.lookup(key(), ask)
    assert (answer.chunks, answer.headers) == ((b"one", b"two"), tuple(SSE))
    assert await cache.lookup(key(tenant="other"), ask) is None
    file.close()
    assert (tmp_path / "cache.db").stat().st_mode & 0o077 == 0


async def test_an_older_answer_of_the_file_does_not_replace_a_newer_one(tmp_path) -> None:
    now, ask = [1_800_000_000 * S], CacheAsk(buckets=2)
    file = CacheFile(tmp_path / "cache.db", 1_000_000)
    cache = ResponseCache(1_000_000, store=file, clock=lambda: now[0])
    record(cache, key(ask), ask, [b"old"])
    await asyncio.gather(*cache._saving)
    now[0] += 8 * 86_400 * S  # stale: its bucket is free again
    cache._store = None
    record(cache, key(ask), ask, [b"new"])
    cache._store = file
    assert await cache.lookup(key(ask), ask) is None, "one of two buckets is filled"
    assert [answer.chunks for answer in cache._entries[key(ask).digest].values()] == [(b"new",)]
    await cache.close()
    file.close()


async def test_the_file_is_bounded(tmp_path) -> None:
    ask = CacheAsk()
    file = CacheFile(tmp_path / "cache.db", 10_000)
    cache = ResponseCache(1_000_000, store=file)
    for number in range(20):
        record(cache, key(path=f"/{number}"), ask, [b"x" * 1000])
    await cache.close()
    (used,) = sqlite3.connect(tmp_path / "cache.db").execute("SELECT sum(size_bytes) FROM answers").fetchone()
    assert 5_000 < used <= 10_000
    assert file.load(key(path="/19"))
    assert not file.load(key(path="/0"))
    file.close()


class Stalled:
    """A file on a disk that hangs until it is let go."""

    def __init__(self):
        self.free = threading.Event()

    def load(self, key):
        assert self.free.wait(30), "a lookup waited for it"
        return []

    def save(self, key, answer):
        raise sqlite3.OperationalError("disk I/O error")


async def test_a_stalled_file_is_a_miss_and_not_a_delay() -> None:
    stalled = Stalled()
    cache, ask = ResponseCache(1_000_000, store=stalled), CacheAsk()
    # All are answered, and other work has threads left, while the disk hangs: it is let go at the end.
    assert await asyncio.gather(*(cache.lookup(key(path=f"/{n}"), ask) for n in range(100))) == [None] * 100
    assert 0 < cache._in_file <= 32
    assert await asyncio.to_thread(lambda: 1) == 1
    assert cache._in_file > 0
    record(cache, key(), ask, [b"{}"])
    assert await cache.lookup(key(), ask) is not None
    assert cache.store_failures >= 1
    stalled.free.set()
    cache._thread.shutdown(wait=False, cancel_futures=True)


async def test_a_file_that_fails_is_counted() -> None:
    cache, ask = ResponseCache(1_000_000, store=Stalled()), CacheAsk()
    record(cache, key(), ask, [b"{}"])
    await cache.close()
    assert cache.store_failures == 1
    assert await cache.lookup(key(), ask) is not None
