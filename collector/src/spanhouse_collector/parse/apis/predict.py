"""Google's ``:predict``: embeddings, Imagen, PaLM's text and chat, and models deployed on Vertex endpoints.

What an instance and a prediction hold is up to the model, so each is read by the keys it has.
"""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.openai_parts import chat_message
from spanhouse_collector.parse.content import (
    as_dict,
    blob_part,
    dicts,
    message,
    modality_of,
    name_of,
    text_part,
)
from spanhouse_collector.parse.contract import Message, Part

_PARAMETERS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "seed": "seed",
    "sampleCount": "choice.count",
    "candidateCount": "choice.count",
}
_TEXTS = ("content", "prompt", "text", "inputs")
_VECTORS = ("values", "textEmbedding", "imageEmbedding")


class Predict(Api):
    """``:predict`` of Vertex AI and Google AI; the model's name tells embeddings and pictures (``endpoints``)."""

    def request(self, body: dict[str, Any]) -> None:
        """Read parameters and instances."""
        reading = self.reading
        asked = as_dict(body.get("parameters"))
        instances = dicts(body.get("instances"))
        for theirs, ours in _PARAMETERS.items():
            value = asked.get(theirs)
            if not (ours == "choice.count" and value == 1):
                self.parameter(ours, value)
        self.parameter("max_tokens", next((each.get("max_tokens") for each in instances), None))
        self.stop_sequences(asked.get("stopSequences"))
        size = asked.get("outputDimensionality", asked.get("dimension"))
        if type(size) is int:
            reading.attributes["gen_ai.embeddings.dimension.count"] = size
        for instance in instances[: self.limits.messages]:
            if isinstance(instance.get("context"), str) and instance["context"]:
                reading.system_instructions.append(text_part(instance["context"]))
            reading.input_messages += _asked(instance)

    def document(self, body: Any) -> None:
        """Read predictions and usage."""
        found = as_dict(body)
        if self.error(found):
            return
        reading = self.reading
        deployed = name_of(found.get("modelDisplayName")) or name_of(found.get("model")).rpartition("/")[2]
        reading.response_model = deployed
        predictions = found.get("predictions")
        # A model served by an engine may answer with a chat completion in place of the list.
        made = [predictions] if isinstance(predictions, dict) else predictions
        made = made if isinstance(made, list) else []
        reading.usage = usage.predicted(as_dict(found.get("metadata")), dicts(made))
        for prediction in made[: self.limits.messages]:
            self._prediction(prediction)

    def _prediction(self, prediction: Any) -> None:
        reading = self.reading
        if isinstance(prediction, list) and prediction:
            prediction = prediction[0]
        if isinstance(prediction, str):
            self._said([text_part(prediction)])
            return
        found = as_dict(prediction)
        vector = self._vector(found)
        if vector:
            reading.attributes.setdefault("gen_ai.embeddings.dimension.count", len(vector))
        elif "bytesBase64Encoded" in found:
            mime_type = found.get("mimeType")
            self._said([blob_part(modality_of(mime_type), mime_type, found["bytesBase64Encoded"])])
        elif dicts(found.get("choices")):
            reading.response_model = name_of(found.get("model")) or reading.response_model
            for choice in dicts(found["choices"]):
                self.finish_reason(choice.get("finish_reason"))
                said = chat_message(as_dict(choice.get("message")))["parts"] or [text_part(_text_of(choice))]
                self._said(said, name_of(choice.get("finish_reason")))
        else:
            for answer in dicts(found.get("candidates")) or [found]:
                text = _text_of(answer) or _text_of({"text": answer.get("generated_text")})
                self._said([text_part(text)] if text else [])

    def _vector(self, prediction: dict[str, Any]) -> list[Any]:
        found = as_dict(prediction.get("embeddings")) or prediction
        return next((found[key] for key in _VECTORS if isinstance(found.get(key), list)), [])

    def _said(self, parts: list[Part], reason: str = "") -> None:
        if parts:
            self.reading.output_messages.append(message("assistant", [self.keep(part) for part in parts], reason))


def _asked(instance: dict[str, Any]) -> list[Message]:
    """Return the messages of one instance."""
    said = dicts(instance.get("messages"))
    if said:
        return [_message(item) for item in said]
    parts: list[Part] = []
    text = _text_of(instance)
    if text:
        parts.append(text_part(text))
    image = as_dict(instance.get("image"))
    if image:
        mime_type = image.get("mimeType") or "image/"
        parts.append(blob_part("image", mime_type if mime_type != "image/" else "", image.get("bytesBase64Encoded")))
    return [message("user", parts)] if parts else []


def _message(item: dict[str, Any]) -> Message:
    """Return a message in OpenAI's shape, or in PaLM's with an author."""
    if "author" in item:
        role = "user" if name_of(item["author"]) in ("user", "0") else "assistant"
        return message(role, [text_part(_text_of(item))])
    return chat_message(item)


def _text_of(item: dict[str, Any]) -> str:
    return next((item[key] for key in _TEXTS if isinstance(item.get(key), str)), "")
