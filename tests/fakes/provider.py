"""A language model provider on a real socket: OpenAI's, Anthropic's and Gemini's wire formats, no model.

Answers and token counts follow from the request by the rules in ``answers``; behaviour (errors,
slowness, cache, reasoning, broken streams) is chosen as ``knobs`` says. Everything answered is kept
in ``FakeProvider.served`` and at ``GET /_served`` (``DELETE /_served`` forgets), so that a test can
state the truth about usage, texts and ids that a stream may never have carried.

    with FakeProvider() as provider:
        client = openai.OpenAI(base_url=provider.openai_url, api_key="any")

or ``python -m tests.fakes.provider --port 9000``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes import anthropic_messages, gemini, openai_chat, openai_images, openai_responses
from tests.fakes.answers import Answer, ToolCall, Turn, answer
from tests.fakes.errors import ANTHROPIC_APIS, error_body, error_headers
from tests.fakes.knobs import SNAPSHOTS, Knobs, read_knobs

MAX_BODY_BYTES = 256 * 1024 * 1024
SECRET_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "cookie"})

Json = dict[str, Any]


@dataclass(slots=True)
class Served:
    """One request and what was truly answered to it.

    ``usage`` is the API's own object and is complete even where the client never saw it
    (``usage_sent`` tells). ``finished`` turns true when the last byte is handed over: it stays
    false for a client that went away before, or a stream that was told to break.
    """

    api: str
    path: str
    request: Any
    headers: dict[str, str]
    stream: bool = False
    status: int = 200
    request_model: str = ""
    model: str = ""
    response_id: str = ""
    text: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str = ""
    usage: Json | None = None
    usage_sent: bool = False
    events_sent: int = 0
    finished: bool = False


@dataclass(slots=True)
class _Reply:
    """What a handler worked out: the document, or the events that say the same."""

    document: Json
    events: Iterator[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)


class _Bad(Exception):
    """The request is not one this API takes."""


class Provider:
    """The server's state and handlers; ``served`` grows by one with every API request."""

    def __init__(self) -> None:
        self.served: list[Served] = []
        self._cache = anthropic_messages.CacheMemory()
        self._conversations: dict[str, list[Turn]] = {}

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        for prefix in ("/v1", ""):
            app.router.add_post(f"{prefix}/chat/completions", self._handler("chat", self._chat))
            app.router.add_post(f"{prefix}/embeddings", self._handler("embeddings", self._embeddings))
            app.router.add_post(f"{prefix}/responses", self._handler("responses", self._responses))
            app.router.add_post(f"{prefix}/messages", self._handler("messages", self._messages))
            app.router.add_post(f"{prefix}/messages/count_tokens", self._handler("count_tokens", self._count))
            for verb in ("generations", "edits"):
                app.router.add_post(f"{prefix}/images/{verb}", self._handler("images", self._images))
            app.router.add_get(f"{prefix}/models", self._models)
        for version in ("v1", "v1beta", "v1beta1"):
            app.router.add_post(f"/{version}/models/{{model}}:{{verb}}", self._gemini)
        app.router.add_get("/_served", self._list_served)
        app.router.add_delete("/_served", self._forget_served)
        return app

    def forget(self) -> None:
        """Forget what was served, cached prefixes and stored responses."""
        self.served.clear()
        self._cache.seen.clear()
        self._conversations.clear()

    # One request -------------------------------------------------------------------------------

    def _handler(self, api: str, work: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            record = Served(api=api, path=request.path, request=None, headers=_kept_headers(request))
            self.served.append(record)
            request_id = f"req_{len(self.served):06d}"
            id_header = "request-id" if api in ANTHROPIC_APIS else "x-request-id"
            try:
                record.request = body = await _read_body(request)
                record.request_model = body["model"]
                record.stream = bool(body.get("stream")) or request.match_info.get("verb") == "streamGenerateContent"
                knobs = read_knobs(body["model"], request.headers)
                if knobs.error_status is not None:
                    return self._error(record, knobs.error_status, "", id_header, request_id, knobs.retry_after_s)
                reply: _Reply = work(body, knobs, record, len(self.served))
            except (_Bad, KeyError, TypeError, ValueError, AttributeError) as problem:
                message = str(problem) if isinstance(problem, _Bad) else f"Invalid request: {problem!r}"
                return self._error(record, 400, message, id_header, request_id, 0)
            record.model = knobs.served_model
            headers = {id_header: request_id, "x-fake-tokens": "words"}
            if knobs.ttft_s:
                await asyncio.sleep(knobs.ttft_s)
            if reply.events is None:
                record.usage_sent = record.usage is not None and api != "gemini_embeddings"  # not told by the API
                record.finished = True
                return web.json_response(reply.document, headers=headers)
            return await _send_stream(request, reply.events, knobs, record, headers)

        return handle

    def _error(
        self, record: Served, status: int, message: str, id_header: str, request_id: str, retry_after_s: int
    ) -> web.Response:
        record.status = status
        record.finished = True
        body = error_body(status, message, api=record.api, request_id=request_id)
        headers = {id_header: request_id}
        return web.json_response(body, status=status, headers=headers | error_headers(status, retry_after_s))

    # The APIs ----------------------------------------------------------------------------------

    def _chat(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        ask = openai_chat.read_ask(body)
        if not ask.turns:
            raise _Bad("Invalid 'messages': empty array.")
        tail = _tail(body, knobs, number)
        reply = answer(ask, f"call_{tail}", knobs.answer)
        choices = int(body.get("n") or 1)
        spoken = openai_chat.speaks(body)
        used = openai_chat.usage(ask, reply, knobs, choices, spoken)
        response_id = f"chatcmpl-{tail}"
        _note(record, reply, response_id, openai_chat.finish_reason(reply), used)
        if not body.get("stream"):
            return _Reply(openai_chat.completion(response_id, reply, knobs, used, choices, spoken))
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        record.usage_sent = include_usage
        events = openai_chat.stream(
            response_id, reply, knobs, used, include_usage=include_usage, choices=choices, spoken=spoken
        )
        return _Reply({}, events)

    def _images(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        record.usage = used = openai_images.usage(body)
        if not body.get("stream"):
            return _Reply(openai_images.images(body, used))
        record.usage_sent = used is not None
        return _Reply({}, openai_images.stream(body, used))

    def _embeddings(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        tokens = openai_chat.embedding_tokens(openai_chat.embedding_inputs(body))
        used = {"prompt_tokens": tokens, "total_tokens": tokens}
        _note(record, Answer("", []), "", "", used)
        return _Reply(openai_chat.embeddings(body, knobs, used))

    def _responses(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        previous = body.get("previous_response_id")
        if previous and previous not in self._conversations:
            raise _Bad(f"Previous response with id '{previous}' not found.")
        ask = openai_responses.read_ask(body, self._conversations.get(previous or "", []))
        tail = _tail(body, knobs, number)
        reply = answer(ask, f"call_{tail}", knobs.answer)
        used = openai_responses.usage(ask, reply, knobs)
        response_id = f"resp_{tail}"
        self._conversations[response_id] = [*ask.turns, Turn("assistant", reply.text, reply.tool_calls)]
        _note(record, reply, response_id, "incomplete" if reply.cut else "completed", used)
        if not body.get("stream"):
            return _Reply(openai_responses.response(response_id, body, reply, knobs, used))
        record.usage_sent = True
        return _Reply({}, openai_responses.stream(response_id, body, reply, knobs, used))

    def _messages(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        if "max_tokens" not in body:
            raise _Bad("max_tokens: Field required")
        ask = anthropic_messages.read_ask(body)
        tail = _tail(body, knobs, number)
        reply = answer(ask, f"toolu_{tail}", knobs.answer)
        thinking = anthropic_messages.thinks(body, knobs)
        used = anthropic_messages.usage(ask, reply, knobs, thinking, self._cache.use(body))
        response_id = f"msg_{tail}"
        _note(record, reply, response_id, anthropic_messages.stop_reason(reply), used)
        if not body.get("stream"):
            return _Reply(anthropic_messages.message(response_id, reply, knobs, used, thinking))
        record.usage_sent = True
        return _Reply({}, anthropic_messages.stream(response_id, reply, knobs, used, thinking))

    def _count(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        return _Reply({"input_tokens": anthropic_messages.read_ask(body).tokens})

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        works = {"gemini": self._generate, "gemini_embeddings": self._embed, "gemini_count": self._count_gemini}
        api = gemini.APIS.get(request.match_info["verb"])
        if api is None:
            raise web.HTTPNotFound
        reply: web.StreamResponse = await self._handler(api, works[api])(request)
        return reply

    def _generate(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        ask = gemini.read_ask(body)
        tail = _tail(body, knobs, number)
        reply = answer(ask, f"call_{tail}", knobs.answer)
        used = gemini.usage(ask, reply, knobs, body)
        _note(record, reply, tail, gemini.finish_reason(reply), used)
        if not record.stream:
            return _Reply(gemini.response(tail, reply, knobs, used, body))
        record.usage_sent = True
        return _Reply({}, gemini.stream(tail, reply, knobs, used, body))

    def _embed(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        _note(record, Answer("", []), "", "", {"promptTokenCount": gemini.embedding_tokens(body)})
        return _Reply(gemini.embeddings(body))

    def _count_gemini(self, body: Json, knobs: Knobs, record: Served, number: int) -> _Reply:
        return _Reply({"totalTokens": gemini.read_ask(body).tokens})

    async def _models(self, request: web.Request) -> web.Response:
        names = sorted(set(SNAPSHOTS) | set(SNAPSHOTS.values()))
        data = [{"id": name, "object": "model", "created": openai_chat.CREATED, "owned_by": "fake"} for name in names]
        return web.json_response({"object": "list", "data": data})

    async def _list_served(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(record) for record in self.served])

    async def _forget_served(self, request: web.Request) -> web.Response:
        self.forget()
        return web.json_response({})


async def _read_body(request: web.Request) -> Json:
    try:
        form = request.content_type == "multipart/form-data"
        body = await _read_form(request) if form else json.loads(await request.read())
    except ValueError as problem:
        raise _Bad(f"We could not parse the JSON body of your request: {problem}") from problem
    if isinstance(body, dict) and "model" in request.match_info:  # Gemini names it in the path
        body = {**body, "model": request.match_info["model"]}
    if not isinstance(body, dict) or not isinstance(body.get("model"), str) or not body["model"]:
        raise _Bad("you must provide a model parameter")
    return body


async def _read_form(request: web.Request) -> Json:
    """Return the fields of a form by name, files in base64; those that may come several times are lists."""
    body: Json = {}
    for name, value in (await request.post()).items():
        said = base64.b64encode(value.file.read()).decode() if isinstance(value, web.FileField) else value
        bare = name.removesuffix("[]")
        body[bare] = [*body.get(bare, []), said] if bare != name else said
    return body


async def _send_stream(
    request: web.Request, events: Iterator[bytes], knobs: Knobs, record: Served, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers | {"Cache-Control": "no-cache"})
    response.content_type = "text/event-stream"
    response.charset = "utf-8"
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        ahead = list(events)
        for event in ahead:
            if knobs.break_after is not None and record.events_sent >= knobs.break_after:
                if request.transport is not None:
                    request.transport.close()
                return response
            if knobs.chunk_s and record.events_sent:
                await asyncio.sleep(knobs.chunk_s)
            # Before the write: a client that has read the last byte must find the record complete.
            record.events_sent += 1
            record.finished = record.events_sent == len(ahead)
            await response.write(event)
        await response.write_eof()
    return response


def _kept_headers(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items() if name.lower() not in SECRET_HEADERS}


def _tail(body: Json, knobs: Knobs, number: int) -> str:
    """Return the unique part of the ids: never the same twice, unless the request fixes it."""
    seed = knobs.fixed_id or f"{number}:{json.dumps(body, sort_keys=True)}"
    return hashlib.sha256(seed.encode()).hexdigest()[:24]


def _note(record: Served, reply: Answer, response_id: str, finish_reason: str, used: Json) -> None:
    record.response_id = response_id
    record.text = reply.text
    record.tool_calls = reply.tool_calls
    record.finish_reason = finish_reason
    record.usage = used


class FakeProvider(Provider):
    """A provider in a thread of its own, for the length of a ``with`` block.

    ``url`` is the root (what Anthropic clients take), ``openai_url`` the ``/v1`` below it.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__()
        self._host = host
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fake-provider", daemon=True)

    @property
    def url(self) -> str:
        """Return the root, without a slash at its end."""
        return f"http://{self._host}:{self._port}"

    @property
    def openai_url(self) -> str:
        """Return the base URL for OpenAI clients."""
        return f"{self.url}/v1"

    def __enter__(self) -> FakeProvider:
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as problem:
            self._failure = problem
            self._started.set()
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        runner = web.AppRunner(self.app(), handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, self._host, self._port, backlog=1024)
        await site.start()
        self._port = runner.addresses[0][1]
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    web.run_app(Provider().app(), host=arguments.host, port=arguments.port, handler_cancellation=True)


if __name__ == "__main__":
    main()
