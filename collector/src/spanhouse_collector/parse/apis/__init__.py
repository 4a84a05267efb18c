"""One small reader for each API, by the names that ``endpoints`` gives them."""

from __future__ import annotations

from spanhouse_collector.parse.apis import (
    anthropic,
    bedrock,
    cohere,
    cohere_v1,
    embeddings,
    engines,
    gemini,
    media,
    ollama,
    openai_chat,
    predict,
    responses,
)
from spanhouse_collector.parse.apis.base import Api

APIS: dict[str, type[Api]] = {
    "anthropic": anthropic.Messages,
    "bedrock_converse": bedrock.Converse,
    "bedrock_invoke": bedrock.Invoke,
    "chat": openai_chat.ChatCompletions,
    "cohere_chat": cohere.CohereChat,
    "cohere_chat_v1": cohere_v1.CohereChatV1,
    "cohere_embed": embeddings.CohereEmbed,
    "cohere_generate": cohere_v1.CohereGenerate,
    "completions": openai_chat.Completions,
    "embeddings": embeddings.Embeddings,
    "engine_generate": engines.EngineGenerate,
    "gemini": gemini.GenerateContent,
    "gemini_embed": gemini.EmbedContent,
    "images": media.Images,
    "moderations": embeddings.Moderations,
    "ollama_chat": ollama.Chat,
    "ollama_embed": ollama.Embed,
    "ollama_generate": ollama.Generate,
    "predict": predict.Predict,
    "rerank": embeddings.Rerank,
    "responses": responses.Responses,
    "speech": media.Speech,
    "transcription": media.Transcription,
}

__all__ = ["APIS", "Api"]
