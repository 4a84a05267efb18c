"""The response cache: the same request of the same tenant gets the same answer again.

The key is a hash over tenant, credentials, origin, method, path, query, body, the headers that change an
answer (``VARYING``) and the caller's seed, each with its length, so that no two requests share one by
accident. **A tenant never gets another's answer**: the tenant is in the key, and so are the credentials
the request came with, so that a caller without a valid provider key gets no answer paid with another's.

Kept are only complete 2xx answers without an error inside the stream, chunk for chunk as they came, up to
``max_entry_bytes``. Headers of one exchange (dates, ids of cookies, rate limits) are not replayed. Memory is
bounded by bytes, the least recently used entry goes first. With a ``CacheFile`` answers outlive the process;
it is asked off the event loop, and an answer that takes it longer than ``LOOKUP_S`` is a miss.

Up to ``buckets`` different answers are kept per request: until all are filled the upstream is asked, then
one of them is picked at random.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

import orjson

from spanhouse_collector.policy.fallback import CREDENTIALS
from spanhouse_collector.policy.headers import CacheAsk

_T = TypeVar("_T")

#: Request headers that change what an upstream answers, beside the credentials.
VARYING = frozenset(
    ["accept", "accept-encoding", "accept-language", "content-type", "content-encoding", "anthropic-version"]
    + ["anthropic-beta", "openai-beta", "openai-project", "openai-organization", "range"]
)
#: Response headers that belong to one exchange and would mislead when replayed.
_ONE_EXCHANGE = frozenset(
    ["set-cookie", "date", "age", "retry-after", "connection", "keep-alive", "transfer-encoding", "trailer"]
    + ["upgrade", "proxy-authenticate", "server-timing", "cf-ray", "openai-processing-ms"]
)
_ONE_EXCHANGE_PREFIXES = ("ratelimit", "x-ratelimit-", "anthropic-ratelimit-", "spanhouse-", "helicone-")
#: How an error looks inside an answer that began with 200. Inside a text the quotes would be escaped.
_ERROR_IN_LINES = re.compile(rb'(?m)^event:\s*(?:error|response\.failed)\b|"error"\s*:\s*[{"]')
_ERRORS_IN_FRAMES = (b":exception-type", b":error-code")
_STREAMS = ("text/event-stream", "application/x-ndjson", "application/stream+json")
#: How long the file may take before a lookup is a miss, s.
LOOKUP_S = 0.05
#: Lookups and saves that wait for the file; beyond it, lookups are misses and answers are not saved there.
_MAX_IN_FILE = 32
#: What an entry costs in memory beside its bytes, about.
_ENTRY_BYTES = 1024
_CHUNK_BYTES = 64


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What is asked for: the tenant, and the hash of everything else with it."""

    tenant: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A complete answer. ``chunks`` are as they came, ``bucket`` its number, ``stored_ns`` unix time."""

    tenant: str
    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[bytes, ...]
    stored_ns: int
    ttl_s: int
    bucket: int = 0
    size_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        size_bytes = sum(map(len, self.chunks)) + len(self.chunks) * _CHUNK_BYTES + _ENTRY_BYTES
        size_bytes += sum(len(name) + len(value) for name, value in self.headers)
        object.__setattr__(self, "size_bytes", size_bytes)

    def fresh(self, now_ns: int, ttl_s: int) -> bool:
        """Tell whether it may be served at ``now_ns`` to a caller who wants it ``ttl_s`` old at most."""
        return 0 <= now_ns - self.stored_ns < min(self.ttl_s, ttl_s) * 1_000_000_000

    def age_s(self, now_ns: int) -> int:
        """Return its age in whole seconds."""
        return max(now_ns - self.stored_ns, 0) // 1_000_000_000


def cache_key(
    ask: CacheAsk,
    tenant: str,
    origin: str,
    method: str,
    path: str,
    query: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
) -> CacheKey:
    """Return the key of a request; ``origin`` is the provider's name or the upstream's origin."""
    digest = hashlib.sha256()

    def put(*values: bytes) -> None:
        for value in values:
            digest.update(len(value).to_bytes(8, "big"))
            digest.update(value)

    chosen = sorted((name.lower(), value) for name, value in headers if name.lower() in VARYING | CREDENTIALS)
    put(tenant.encode(), origin.encode(), method.encode(), path.encode(), query.encode(), ask.seed.encode())
    put(ask.buckets.to_bytes(1, "big"), len(chosen).to_bytes(4, "big"))
    for name, value in chosen:
        put(name.encode(), value.encode("utf-8", "surrogateescape"))
    put(_relevant(body, ask.ignore_keys))
    return CacheKey(tenant, digest.digest())


def _relevant(body: bytes, ignore_keys: tuple[str, ...]) -> bytes:
    """Return the body, without the ignored top-level keys where it is a JSON object."""
    if not ignore_keys:
        return body
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(document, dict):
        return body
    kept = {key: value for key, value in document.items() if key not in ignore_keys}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


class AnswerStore(Protocol):
    """Where answers outlive the process; called from worker threads. See ``cache_file.CacheFile``."""

    def load(self, key: CacheKey) -> list[CachedAnswer]:
        """Return the stored answers of a key."""

    def save(self, key: CacheKey, answer: CachedAnswer) -> None:
        """Keep an answer in its bucket."""


class ResponseCache:
    """Answers by key, in memory and optionally in a file. For one event loop."""

    def __init__(
        self,
        max_bytes: int,
        *,
        max_entry_bytes: int = 8 * 1024 * 1024,
        store: AnswerStore | None = None,
        clock: Callable[[], int] = time.time_ns,
        choose: Callable[[Sequence[CachedAnswer]], CachedAnswer] = random.choice,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_entry_bytes = min(max_entry_bytes, max_bytes)
        self._store = store
        self._clock = clock
        self._choose = choose
        self._entries: OrderedDict[bytes, dict[int, CachedAnswer]] = OrderedDict()
        self._saving: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spanhouse-cache")
        self._in_file = 0
        self.used_bytes = 0
        self.hits = 0
        self.misses = 0
        self.store_failures = 0

    async def lookup(self, key: CacheKey, ask: CacheAsk) -> CachedAnswer | None:
        """Return an answer to replay, ``None`` for a miss (or while buckets are not all filled)."""
        answers = self._fresh(self._entries.get(key.digest, {}).values(), key, ask)
        if len(answers) < ask.buckets and self._store is not None:
            for answer in await self._load(key):
                known = self._entries.get(key.digest, {}).get(answer.bucket)
                if known is None or known.stored_ns < answer.stored_ns:
                    self._keep(key, answer)
            answers = self._fresh(self._entries.get(key.digest, {}).values(), key, ask)
        if not answers or (ask.save and len(answers) < ask.buckets):
            self.misses += 1
            return None
        self._entries.move_to_end(key.digest)
        self.hits += 1
        return self._choose(answers)

    def recorder(
        self, key: CacheKey, ask: CacheAsk, status: int, headers: Iterable[tuple[str, str]]
    ) -> Recorder | None:
        """Return what records an answer while it passes, ``None`` when it is not one to keep."""
        pairs = [(name, value) for name, value in headers if not _of_one_exchange(name)]
        found = {name.lower(): value.lower() for name, value in pairs}
        streams = found.get("content-type", "").startswith(_STREAMS)
        encoded = found.get("content-encoding", "identity") not in ("", "identity")
        # An error inside a compressed stream cannot be seen, so such a stream is not kept.
        if not ask.save or not 200 <= status < 300 or status == 206 or (streams and encoded):
            return None
        return Recorder(self, key, ask, status, tuple(pairs), self._max_entry_bytes)

    def keep(
        self, key: CacheKey, ask: CacheAsk, status: int, headers: Sequence[tuple[str, str]], chunks: Sequence[bytes]
    ) -> None:
        """Keep a complete answer in the first bucket that is free or stale, else in a random one."""
        now_ns = self._clock()
        present = self._entries.get(key.digest, {})
        free = [
            number
            for number in range(ask.buckets)
            if number not in present or not present[number].fresh(now_ns, ask.ttl_s)
        ]
        bucket = free[0] if free else random.randrange(ask.buckets)
        answer = CachedAnswer(key.tenant, status, tuple(headers), tuple(chunks), now_ns, ask.ttl_s, bucket)
        self._keep(key, answer)
        if self._store is not None:
            task = asyncio.get_running_loop().create_task(self._save(key, answer))
            self._saving.add(task)
            task.add_done_callback(self._saving.discard)

    def age_s(self, answer: CachedAnswer) -> int:
        """Return how old an answer is, in whole seconds."""
        return answer.age_s(self._clock())

    async def close(self) -> None:
        """Wait until what was recorded is stored."""
        while self._saving:
            await asyncio.wait(set(self._saving))
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _fresh(self, answers: Iterable[CachedAnswer], key: CacheKey, ask: CacheAsk) -> list[CachedAnswer]:
        now_ns = self._clock()
        # The tenant is part of the hash already; it is compared again because a mistake here is a leak.
        return [item for item in answers if item.tenant == key.tenant and item.fresh(now_ns, ask.ttl_s)]

    def _keep(self, key: CacheKey, answer: CachedAnswer) -> None:
        if answer.size_bytes > self._max_bytes:
            return
        entry = self._entries.setdefault(key.digest, {})
        replaced = entry.get(answer.bucket)
        entry[answer.bucket] = answer
        self._entries.move_to_end(key.digest)
        self.used_bytes += answer.size_bytes - (replaced.size_bytes if replaced else 0)
        while self.used_bytes > self._max_bytes:
            oldest = next(iter(self._entries))
            buckets = self._entries[oldest]
            number = min(buckets, key=lambda item: buckets[item].stored_ns)
            self.used_bytes -= buckets.pop(number).size_bytes
            if not buckets:
                del self._entries[oldest]

    async def _load(self, key: CacheKey) -> list[CachedAnswer]:
        if self._store is None or self._in_file >= _MAX_IN_FILE:
            return []
        try:
            return await asyncio.wait_for(self._beside(self._store.load, key), LOOKUP_S)
        except (TimeoutError, sqlite3.Error):
            self.store_failures += 1
            return []

    async def _save(self, key: CacheKey, answer: CachedAnswer) -> None:
        if self._store is None or self._in_file >= _MAX_IN_FILE:
            self.store_failures += 1
            return
        try:
            await self._beside(self._store.save, key, answer)
        except sqlite3.Error:
            self.store_failures += 1

    def _beside(self, work: Callable[..., _T], *arguments: Any) -> asyncio.Future[_T]:
        """Run something of the file in the cache's own thread: a stalled disk must hold up nothing else."""
        self._in_file += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        # Not the awaiting side: a lookup that was given up goes on in the thread.
        future.add_done_callback(self._left_file)
        return asyncio.shield(future)

    def _left_file(self, future: asyncio.Future[Any]) -> None:
        self._in_file -= 1
        if not future.cancelled():
            future.exception()  # whoever waited has seen it; nobody may be left


class Recorder:
    """Collects one passing answer, bounded; nothing is kept unless ``complete`` is called."""

    __slots__ = ("_ask", "_cache", "_chunks", "_headers", "_key", "_left_bytes", "_status")

    def __init__(
        self,
        cache: ResponseCache,
        key: CacheKey,
        ask: CacheAsk,
        status: int,
        headers: tuple[tuple[str, str], ...],
        max_bytes: int,
    ) -> None:
        self._cache, self._key, self._ask = cache, key, ask
        self._status, self._headers = status, headers
        self._left_bytes = max_bytes
        self._chunks: list[bytes] = []

    def chunk(self, data: bytes) -> None:
        """Add a chunk; beyond the bound everything is let go."""
        self._left_bytes -= len(data) + _CHUNK_BYTES
        if self._left_bytes < 0:
            self._chunks.clear()
        elif data:
            self._chunks.append(bytes(data))

    def complete(self) -> Literal["kept", "too_large", "error_inside"]:
        """Keep the answer: its last byte has come and the upstream ended it properly."""
        if self._left_bytes < 0:
            return "too_large"
        if _has_error(b"".join(self._chunks), self._headers):
            return "error_inside"
        self._cache.keep(self._key, self._ask, self._status, self._headers, self._chunks)
        self._chunks = []
        return "kept"


def _has_error(body: bytes, headers: Sequence[tuple[str, str]]) -> bool:
    content_type = next((value.lower() for name, value in headers if name.lower() == "content-type"), "")
    if "eventstream" in content_type:
        return any(mark in body for mark in _ERRORS_IN_FRAMES)
    return content_type.startswith(_STREAMS) and _ERROR_IN_LINES.search(body) is not None


def _of_one_exchange(name: str) -> bool:
    lower = name.lower()
    return lower in _ONE_EXCHANGE or lower.startswith(_ONE_EXCHANGE_PREFIXES)
