"""The generate APIs of inference engines: TGI's ``/generate`` and ``/generate_stream``, SGLang's ``/generate``.

The two share a path and are told apart by the body: TGI is asked by ``inputs`` and sends one token per
event, SGLang by ``text`` or ``input_ids`` and repeats the whole text in every event.
"""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse import usage
from spanhouse_collector.parse.apis.base import Api
from spanhouse_collector.parse.apis.embeddings import texts_of
from spanhouse_collector.parse.content import as_dict, as_list, dicts, message, name_of, text_part
from spanhouse_collector.parse.contract import Headers, Limits
from spanhouse_collector.parse.endpoints import Endpoint

_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_new_tokens": "max_tokens",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_COUNT_HEADERS = {"x-prompt-tokens": "input_length", "x-generated-tokens": "generated_tokens"}


class EngineGenerate(Api):
    """A prompt continued by an engine."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        super().__init__(endpoint, limits)
        self._text = self.new_text()
        self._whole = ""
        self._reason = ""
        self._served: dict[str, Any] = {}

    def request(self, body: dict[str, Any]) -> None:
        """Read the prompt, the parameters and whether it streams."""
        reading = self.reading
        reading.streaming = reading.streaming or body.get("stream") is True
        reading.request_model = name_of(body.get("model")) or reading.request_model
        asked = as_dict(body.get("parameters") or body.get("sampling_params"))
        for theirs, ours in _PARAMETERS.items():
            self.parameter(ours, asked.get(theirs))
        self.stop_sequences(asked.get("stop"))
        prompt = next((body[key] for key in ("inputs", "text", "input_ids") if body.get(key)), None)
        reading.input_messages = texts_of(prompt, self.limits.messages)

    def response_headers(self, headers: Headers) -> None:
        """Read the counts that TGI puts beside a whole answer."""
        for name, value in headers:
            if name.lower() in _COUNT_HEADERS:
                self._served[_COUNT_HEADERS[name.lower()]] = value
        if self._served:
            self.reading.usage = usage.tgi(self._served)

    def document(self, body: Any) -> None:
        """Read a whole answer; several prompts at once are answered by a list."""
        for answer in dicts(body) if isinstance(body, list) else [as_dict(body)]:
            if self.error(answer):
                return
            self._text.add(answer.get("generated_text", answer.get("text")))
            self._outcome(answer)

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event of a stream."""
        found = as_dict(body)
        self.reading.streaming = True
        if self.error(found):
            return
        token = as_dict(found.get("token"))
        if token:
            came = token.get("special") is not True and self._text.add(token.get("text"))
        else:
            came = self._grown(found.get("text"))
        if came:
            self.token(at_ns)
        self._outcome(found)

    def _grown(self, text: Any) -> bool:
        """Take a text that repeats what came before; tell whether it brought more."""
        if not isinstance(text, str) or len(text) <= len(self._whole):
            return False
        came = self._text.add(text[len(self._whole) :])
        self._whole = text[: self.limits.text_characters]
        return came

    def _outcome(self, answer: dict[str, Any]) -> None:
        """Read usage and why it ended: in TGI's ``details`` or SGLang's ``meta_info``."""
        reading = self.reading
        details, meta = as_dict(answer.get("details")), as_dict(answer.get("meta_info"))
        if details:
            self._reason = name_of(details.get("finish_reason"))
            prefill = as_list(details.get("prefill"))
            if prefill:
                self._served.setdefault("input_length", len(prefill))
            self._served |= {key: details[key] for key in ("generated_tokens", "input_length") if key in details}
            reading.usage = usage.tgi(self._served)
        elif meta:
            ended = meta.get("finish_reason")
            self._reason = name_of(as_dict(ended).get("type") or ended)
            reading.response_id = name_of(meta.get("id")) or reading.response_id
            usage.merge(self._served, meta)
            reading.usage = usage.sglang(self._served)
        self.finish_reason(self._reason)

    def finish(self) -> None:
        """Put the answer together."""
        if self._text or self._reason:
            parts = [text_part(self.text_of(self._text))] if self._text else []
            self.reading.output_messages = [message("assistant", parts, self._reason)]
