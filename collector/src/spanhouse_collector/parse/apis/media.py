"""Images and audio: prompts and usage are read, pictures and sound are not kept."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.content import (
    as_dict,
    blob_part,
    dicts,
    message,
    modality_of,
    name_of,
    text_part,
    url_part,
)
from spanhouse_collector.parse.contract import Headers, Limits
from spanhouse_collector.parse.endpoints import Endpoint

_MAX_IMAGES = 64


def _first(fields: dict[str, list[str]], name: str) -> str:
    return (fields.get(name) or [""])[0]


class _Media(Api):
    """What the three have in common: requests as JSON or as a form with files."""

    output_type = ""

    def request(self, body: dict[str, Any]) -> None:
        """Read model and prompt."""
        reading = self.reading
        reading.request_model = name_of(body.get("model")) or reading.request_model
        reading.streaming = body.get("stream") is True or body.get("stream_format") == "sse"
        reading.user_id = name_of(body.get("user"))
        if self.output_type:
            reading.attributes["gen_ai.output.type"] = self.output_type
        if type(body.get("n")) is int and body["n"] != 1:
            self.parameter("choice.count", body["n"])
        for key in ("size", "quality", "voice", "response_format", "language"):
            if isinstance(body.get(key), str):
                reading.parameters[f"gen_ai.request.{key}"] = name_of(body[key])
        self.parameter("temperature", body.get("temperature"))
        prompt = body.get("prompt", body.get("input"))
        if isinstance(prompt, str) and prompt:
            reading.input_messages = [message("user", [text_part(prompt)])]

    def request_form(self, fields: dict[str, list[str]], files: list[dict[str, str]]) -> None:
        """Read a form: its fields as a request's, its files as parts without content."""
        plain: dict[str, Any] = {name: values[0] for name, values in fields.items() if values}
        plain["stream"] = _first(fields, "stream").lower() in ("true", "1")
        for name, kind in (("n", int), ("temperature", float)):
            try:
                plain[name] = kind(_first(fields, name))
            except ValueError:
                plain.pop(name, None)
        self.request(plain)
        parts = [blob_part(modality_of(file["mime_type"]), file["mime_type"], None) for file in files[:64]]
        if parts:
            if not self.reading.input_messages:
                self.reading.input_messages = [message("user", [])]
            self.reading.input_messages[0]["parts"] += parts

    def usage(self, served: Any) -> None:
        """Read the usage object, which counts tokens or seconds."""
        if isinstance(served, dict) and served:
            self.reading.usage = usage.openai(served)
            seconds = served.get("seconds")
            if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
                self.reading.attributes["spanhouse.usage.audio_input_seconds"] = seconds


class Images(_Media):
    """``/images/generations``, ``/edits`` and ``/variations``."""

    output_type = "image"

    def document(self, body: Any) -> None:
        """Read how many images came, their links and the usage."""
        found = as_dict(body)
        if self.error(found):
            return
        media_type = f"image/{name_of(found.get('output_format')) or 'png'}"
        for item in dicts(found.get("data"))[:_MAX_IMAGES]:
            url = item.get("url")
            part = url_part("image", url) if url else blob_part("image", media_type, item.get("b64_json"))
            parts = [part]
            if isinstance(item.get("revised_prompt"), str):
                parts.append({"type": "revised_prompt", "content": item["revised_prompt"]})
            self.reading.output_messages.append(message("assistant", parts))
        self.usage(found.get("usage"))

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event: partial images are content, the completed one ends the stream."""
        found = as_dict(body)
        self.reading.streaming = True
        if self.error(found):
            return
        kind = name_of(found.get("type")) or name
        if kind.endswith((".partial_image", ".completed")):
            self.token(at_ns)
        if kind.endswith(".completed"):
            media_type = f"image/{name_of(found.get('output_format')) or 'png'}"
            made = blob_part("image", media_type, found.get("b64_json"))
            if len(self.reading.output_messages) < _MAX_IMAGES:
                self.reading.output_messages.append(message("assistant", [made]))
            self.usage(found.get("usage"))


class Speech(_Media):
    """``/audio/speech``: text in, sound out, as bytes or as events."""

    output_type = "speech"

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._media_type = ""

    def response_headers(self, headers: Headers) -> None:
        """Note what kind of sound comes."""
        found = next((value for name, value in headers if name.lower() == "content-type"), "")
        if found.startswith("audio/"):
            self._media_type = found.partition(";")[0].strip()

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event: sound, or the end with the usage."""
        found = as_dict(body)
        self.reading.streaming = True
        if self.error(found):
            return
        kind = name_of(found.get("type")) or name
        if kind == "speech.audio.delta":
            self._media_type = self._media_type or "audio/mpeg"
            self.token(at_ns)
        elif kind == "speech.audio.done":
            self.usage(found.get("usage"))

    def document(self, body: Any) -> None:
        """Read an error, the only JSON that comes."""
        self.error(as_dict(body))

    def finish(self) -> None:
        """Put a part for the sound."""
        if self._media_type:
            self.reading.output_messages = [message("assistant", [blob_part("audio", self._media_type, None)])]


class Transcription(_Media):
    """``/audio/transcriptions`` and ``/translations``: sound in, text out."""

    output_type = "text"

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._text = self.new_text()

    def document(self, body: Any) -> None:
        """Read text and usage."""
        found = as_dict(body)
        if not self.error(found):
            self._text.add(found.get("text"))
            self.usage(found.get("usage"))

    def plain_text(self, text: str) -> None:
        """Read an answer in ``text``, ``srt`` or ``vtt`` format."""
        self._text.add(text)

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event: a piece of text, or all of it with the usage."""
        found = as_dict(body)
        self.reading.streaming = True
        if self.error(found):
            return
        kind = name_of(found.get("type")) or name
        if kind == "transcript.text.delta" and self._text.add(found.get("delta")):
            self.token(at_ns)
        elif kind == "transcript.text.done":
            text = self.new_text()
            if text.add(found.get("text")):
                self._text = text
            self.usage(found.get("usage"))

    def finish(self) -> None:
        """Put the text together."""
        if self._text:
            self.reading.output_messages = [message("assistant", [text_part(self.text_of(self._text))])]
