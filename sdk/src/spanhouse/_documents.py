"""Recognises retrieved documents in what a retriever returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spanhouse._messages import field
from spanhouse._serialize import plain

MAX_DOCUMENTS = 200


def to_documents(result: Any) -> list[dict[str, Any]] | None:
    """Return ``[{id, score, content, metadata}]`` for a list of documents, ``None`` for anything else.

    A document is a text, a dict or object with ``content``, ``page_content`` or ``text``, one of
    those under ``node`` or ``document`` beside a ``score``, or a pair of document and score.
    """
    if isinstance(result, Mapping):
        result = result.get("documents") or result.get("results") or result.get("matches")
    if not isinstance(result, Sequence) or isinstance(result, (str, bytes)):
        return None
    documents = [_document(item) for item in result[:MAX_DOCUMENTS]]
    return None if any(document is None for document in documents) else [d for d in documents if d is not None]


def _document(item: Any) -> dict[str, Any] | None:
    if isinstance(item, tuple) and len(item) == 2 and _is_number(item[1]):
        inner = _document(item[0])
        return None if inner is None else {**inner, "score": float(item[1])}
    if isinstance(item, str):
        return {"content": item}
    nested = field(item, "node") or field(item, "document")
    if nested is not None and not isinstance(nested, str):
        inner = _document(nested)
        score = field(item, "score")
        return None if inner is None else {**inner, **({"score": float(score)} if _is_number(score) else {})}
    content = next(
        (field(item, name) for name in ("content", "page_content", "text", "document") if field(item, name)), None
    )
    if not isinstance(content, str):
        return None
    document: dict[str, Any] = {"content": content}
    identity = next((field(item, name) for name in ("id", "doc_id", "id_", "node_id") if field(item, name)), None)
    if identity is not None:
        document["id"] = str(identity)
    score = next(
        (field(item, n) for n in ("score", "similarity", "relevance_score") if _is_number(field(item, n))), None
    )
    if score is not None:
        document["score"] = float(score)
    metadata = field(item, "metadata")
    if metadata:
        document["metadata"] = plain(metadata)
    elif isinstance(item, Mapping):
        rest = {
            k: v
            for k, v in item.items()
            if k not in ("id", "score", "content", "page_content", "text", "document", "metadata")
        }
        if rest:
            document["metadata"] = plain(rest)
    return document


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
