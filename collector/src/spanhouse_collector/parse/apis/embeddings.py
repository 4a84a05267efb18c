"""Embeddings, moderations and reranking: texts in, figures out. Vectors are never kept."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import parts_of
from spanhouse_collector.parse.content import as_dict, as_list, dicts, message, name_of, text_part
from spanhouse_collector.parse.contract import Message


def texts_of(given: Any, limit: int) -> list[Message]:
    """Return the inputs of an embedding: texts, token ids (only counted), or content blocks."""
    items = given if isinstance(given, list) else [given]
    if items and all(type(item) is int for item in items):
        items = [items]
    made = []
    for item in items[:limit]:
        if isinstance(item, list) and item and all(type(token) is int for token in item):
            made.append(message("user", [text_part(f"[{len(item)} token ids]")]))
        elif isinstance(item, str) and item:
            made.append(message("user", [text_part(item)]))
        elif isinstance(item, dict):
            parts = parts_of(item.get("content", [item]))
            made.append(message("user", parts))
    return made


class Embeddings(Api):
    """``/embeddings`` of OpenAI, Mistral, Jina, Voyage, vLLM and others."""

    def request(self, body: dict[str, Any]) -> None:
        """Read model, encoding and inputs."""
        reading = self.reading
        reading.request_model = name_of(body.get("model")) or reading.request_model
        formats = body.get("encoding_format") or body.get("embedding_type")
        if isinstance(formats, str):
            reading.parameters["gen_ai.request.encoding_formats"] = [name_of(formats)]
        for key in ("dimensions", "output_dimension"):
            if type(body.get(key)) is int:
                reading.attributes["gen_ai.embeddings.dimension.count"] = body[key]
        reading.user_id = name_of(body.get("user"))
        reading.input_messages = texts_of(body.get("input", body.get("messages")), self.limits.messages)

    def document(self, body: Any) -> None:
        """Read model, usage and the size of the vectors."""
        found = as_dict(body)
        if self.error(found):
            return
        reading = self.reading
        reading.response_id = name_of(found.get("id"))
        reading.response_model = name_of(found.get("model"))
        first = next(iter(dicts(found.get("data"))), {}).get("embedding")
        if isinstance(first, list) and len(first) > 8:
            reading.attributes.setdefault("gen_ai.embeddings.dimension.count", len(first))
        if isinstance(found.get("usage"), dict):
            reading.usage = usage.input_only(found["usage"])


class CohereEmbed(Api):
    """Cohere's ``/v2/embed``."""

    def request(self, body: dict[str, Any]) -> None:
        """Read model, types and texts."""
        self.reading.request_model = name_of(body.get("model"))
        formats = [name_of(item) for item in as_list(body.get("embedding_types"))[:8]]
        if formats:
            self.reading.parameters["gen_ai.request.encoding_formats"] = formats
        self.reading.input_messages = texts_of(body.get("texts") or body.get("inputs"), self.limits.messages)

    def document(self, body: Any) -> None:
        """Read id and usage."""
        found = as_dict(body)
        if self.error(found):
            return
        self.reading.response_id = name_of(found.get("id"))
        self.reading.usage = usage.cohere(as_dict(found.get("meta")))


class Rerank(Api):
    """``/rerank`` of Cohere, Jina, Voyage, vLLM and text-embeddings-inference."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._given: list[str] = []

    def request(self, body: dict[str, Any]) -> None:
        """Read model, query and how many are wanted."""
        reading = self.reading
        reading.request_model = name_of(body.get("model"))
        self.parameter("top_k", body.get("top_n", body.get("top_k")))
        query = body.get("query")
        if isinstance(query, str) and query:
            reading.input_messages = [message("user", [text_part(query)])]
        documents = as_list(body.get("documents") or body.get("texts"))[: self.limits.messages]
        self._given = [_document_text(item) for item in documents]

    def document(self, body: Any) -> None:
        """Read the ranking, with the text of each document where the request had it."""
        found = as_dict(body)
        if self.error(found):
            return
        reading = self.reading
        reading.response_id = name_of(found.get("id"))
        reading.response_model = name_of(found.get("model"))
        ranked = body if isinstance(body, list) else found.get("results", found.get("data"))
        for item in dicts(ranked)[: self.limits.messages]:
            reading.documents.append(self._ranked(item))
        served = as_dict(found.get("usage"))
        meta = as_dict(found.get("meta"))
        reading.usage = usage.input_only(served) if served else usage.cohere(meta)
        units = as_dict(meta.get("billed_units")).get("search_units")
        if isinstance(units, (int, float)):
            reading.attributes["spanhouse.usage.search_units"] = units

    def _ranked(self, item: dict[str, Any]) -> dict[str, Any]:
        index = item.get("index")
        made: dict[str, Any] = {}
        if type(index) is int:
            made["id"] = str(index)
        score = item.get("relevance_score", item.get("score"))
        if isinstance(score, (int, float)):
            made["score"] = score
        text = _document_text(item.get("document", item.get("text")))
        if not text and type(index) is int and 0 <= index < len(self._given):
            text = self._given[index]
        if text:
            made["content"] = text
        return made


def _document_text(item: Any) -> str:
    if isinstance(item, dict):
        item = item.get("text", item.get("content"))
    return item if isinstance(item, str) else ""


class Moderations(Api):
    """``/moderations``: what was looked at, and what was found."""

    def request(self, body: dict[str, Any]) -> None:
        """Read model and inputs."""
        self.reading.request_model = name_of(body.get("model"))
        given = body.get("input")
        if isinstance(given, list) and all(isinstance(item, dict) for item in given):
            self.reading.input_messages = [message("user", parts_of(given))]
        else:
            self.reading.input_messages = texts_of(given, self.limits.messages)

    def document(self, body: Any) -> None:
        """Read the verdicts."""
        found = as_dict(body)
        if self.error(found):
            return
        self.reading.response_id = name_of(found.get("id"))
        self.reading.response_model = name_of(found.get("model"))
        results = dicts(found.get("results"))[: self.limits.messages]
        for result in results:
            hits = sorted(key for key, hit in as_dict(result.get("categories")).items() if hit is True)
            verdict = f"flagged: {', '.join(hits)}" if hits or result.get("flagged") is True else "not flagged"
            self.reading.output_messages.append(message("assistant", [text_part(verdict)]))
        self.reading.attributes["spanhouse.moderation.flagged"] = any(item.get("flagged") is True for item in results)
        if isinstance(found.get("usage"), dict):
            self.reading.usage = usage.openai(found["usage"])
