"""What an application does with a vector database in its own process."""

from __future__ import annotations

import chromadb


def retriever() -> None:
    """Keep two documents, then ask for those like a vector."""
    client = chromadb.EphemeralClient(chromadb.config.Settings(anonymized_telemetry=False))
    documents = client.create_collection("docs", embedding_function=None)
    documents.add(
        ids=["a", "b"],
        embeddings=[[1.0, 0.0], [0.0, 1.0]],
        documents=["A span is one operation.", "A trace is a tree of spans."],
        metadatas=[{"page": 7}, {"page": 8}],
    )
    documents.query(query_embeddings=[[1.0, 0.1]], n_results=2)
