"""Which API a request speaks, by its path: paths are what the providers have in common.

``find`` looks at the end of the path, because upstreams mount the same APIs below their own prefixes
(``/openai/deployments/x``, ``/api/v1``, ``/beta``). What is not listed is an unknown endpoint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An API, and what the URL says about the call.

    ``api`` names a reader in ``apis``; empty for unknown endpoints. ``streams`` is ``None`` where the
    request's body decides.
    """

    api: str = ""
    kind: str = ""
    operation: str = ""
    model: str = ""
    streams: bool | None = None


UNKNOWN = Endpoint()

_CHAT = Endpoint("chat", "llm", "chat")

#: Endings of paths, longest first where one ends another.
_ENDINGS: tuple[tuple[str, Endpoint], ...] = (
    ("/chat/completions", _CHAT),
    ("/agents/completions", _CHAT),
    ("/fim/completions", Endpoint("completions", "llm", "text_completion")),
    ("/completions", Endpoint("completions", "llm", "text_completion")),
    ("/responses", Endpoint("responses", "llm", "chat")),
    ("/moderations", Endpoint("moderations", "guardrail", "moderation")),
    ("/images/generations", Endpoint("images", "llm", "generate_content")),
    ("/images/edits", Endpoint("images", "llm", "generate_content")),
    ("/images/variations", Endpoint("images", "llm", "generate_content")),
    ("/audio/speech", Endpoint("speech", "llm", "generate_content")),
    ("/audio/transcriptions", Endpoint("transcription", "llm", "generate_content")),
    ("/audio/translations", Endpoint("transcription", "llm", "generate_content")),
    ("/rerank", Endpoint("rerank", "reranker", "rerank")),
    ("/api/chat", Endpoint("ollama_chat", "llm", "chat")),
    ("/api/generate", Endpoint("ollama_generate", "llm", "text_completion")),
    ("/api/embed", Endpoint("ollama_embed", "embedding", "embeddings")),
    ("/api/embeddings", Endpoint("ollama_embed", "embedding", "embeddings")),
    ("/embeddings", Endpoint("embeddings", "embedding", "embeddings")),
    ("/v2/embed", Endpoint("cohere_embed", "embedding", "embeddings")),
    ("/v1/embed", Endpoint("cohere_embed", "embedding", "embeddings")),
    ("/v2/chat", Endpoint("cohere_chat", "llm", "chat")),
    ("/v1/chat", Endpoint("cohere_chat_v1", "llm", "chat")),
    ("/v1/generate", Endpoint("cohere_generate", "llm", "text_completion")),
    ("/generate_stream", Endpoint("engine_generate", "llm", "text_completion", streams=True)),
    ("/generate", Endpoint("engine_generate", "llm", "text_completion")),
)
_GOOGLE = re.compile(r"/(?:models|tunedModels|endpoints)/([^/:]+):([A-Za-z]+)\Z")
_GOOGLE_METHODS = {
    "generateContent": ("gemini", "llm", "generate_content", False),
    "streamGenerateContent": ("gemini", "llm", "generate_content", True),
    "embedContent": ("gemini_embed", "embedding", "embeddings", False),
    "batchEmbedContents": ("gemini_embed", "embedding", "embeddings", False),
}
_LIVE = re.compile(r"[./]BidiGenerateContent(?:Constrained)?\Z")
_VERTEX_PUBLISHER = re.compile(r"/publishers/([^/]+)/models/([^/:]+):(rawPredict|streamRawPredict)\Z")
_PUBLISHERS = {"anthropic": Endpoint("anthropic", "llm", "chat"), "mistralai": _CHAT}
_BEDROCK = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)\Z")
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")


def find(provider: str, method: str, path: str, query: str, websocket: bool = False) -> Endpoint:
    """Return the endpoint of a request; ``UNKNOWN`` for all that is not read."""
    path = path.rstrip("/")
    if websocket:
        return _websocket(path, query)
    if method.upper() != "POST":
        return UNKNOWN
    bedrock = _BEDROCK.search(path)
    if bedrock is not None:
        return _bedrock(unquote(bedrock.group(1)), bedrock.group(2))
    if ":" in path.rpartition("/")[2]:
        return _google(path)
    if not path and provider == "tgi":  # the root of TGI takes either kind of request
        return Endpoint("engine_generate", "llm", "text_completion")
    if path.endswith("/messages") and "/threads/" not in path:
        return Endpoint("anthropic", "llm", "chat")
    for ending, endpoint in _ENDINGS:
        if path.endswith(ending) or path == ending[1:]:
            deployment = _DEPLOYMENT.search(path)
            if deployment is None:
                return endpoint
            return Endpoint(endpoint.api, endpoint.kind, endpoint.operation, unquote(deployment.group(1)))
    return UNKNOWN


def _google(path: str) -> Endpoint:
    published = _VERTEX_PUBLISHER.search(path)
    if published is not None:
        base = _PUBLISHERS.get(published.group(1), UNKNOWN)
        model = unquote(published.group(2))
        streams = True if published.group(3) == "streamRawPredict" else None
        return Endpoint(base.api, base.kind, base.operation, model, streams) if base.api else UNKNOWN
    found = _GOOGLE.search(path)
    if found is not None and found.group(2) == "predict":
        return _predict(unquote(found.group(1)))
    if found is None or found.group(2) not in _GOOGLE_METHODS:
        return UNKNOWN
    api, kind, operation, streams = _GOOGLE_METHODS[found.group(2)]
    return Endpoint(api, kind, operation, unquote(found.group(1)), streams)


def _predict(model: str) -> Endpoint:
    if "embedding" in model or "gecko" in model:
        return Endpoint("predict", "embedding", "embeddings", model)
    return Endpoint("predict", "llm", "generate_content", model)


def _bedrock(model: str, action: str) -> Endpoint:
    streams = action.endswith("stream")
    if action.startswith("converse"):
        return Endpoint("bedrock_converse", "llm", "chat", model, streams)
    if "embed" in model:
        return Endpoint("bedrock_invoke", "embedding", "embeddings", model, streams)
    if "rerank" in model:
        return Endpoint("bedrock_invoke", "reranker", "rerank", model, streams)
    return Endpoint("bedrock_invoke", "llm", "chat", model, streams)


def _websocket(path: str, query: str) -> Endpoint:
    if path.endswith("/responses"):
        return Endpoint("responses_socket", "llm", "chat", streams=True)
    if path.endswith("/realtime"):
        asked = parse_qs(query)
        model = (asked.get("model") or asked.get("deployment") or [""])[0]
        return Endpoint("realtime", "llm", "chat", model, True)
    if _LIVE.search(path):
        return Endpoint("gemini_live", "llm", "generate_content", streams=True)
    return UNKNOWN
