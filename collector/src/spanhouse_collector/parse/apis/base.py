"""What every reader of an API does: take a request, take an answer whole or in events, fold both."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from spanhouse_collector.parse.content import Budget, Text, Trim, as_dict, name_of
from spanhouse_collector.parse.contract import Headers, Limits, Reading
from spanhouse_collector.parse.endpoints import Endpoint
from spanhouse_collector.parse.jsontext import dumps, mend

MAX_ERROR_CHARACTERS = 2_000
#: What is held of an answer while it arrives, in content attributes' worth.
_BUDGET = 2
_LABELS = ("type", "id", "call_id", "name", "role")
#: Providers quote parts of wrong keys in their errors.
_KEY = re.compile(r"\b(?:sk|pk|gsk|xai|key|hf|r8)[-_][A-Za-z0-9*_\-]{6,}|\bAIza[\w\-]{10,}|(?i:\bBearer\s+\S{6,})")


class Api:
    """Reads one call into ``reading``. Subclasses say what their API's bodies mean.

    ``request`` and ``document`` get JSON objects of any content: a subclass checks every type it
    relies on. ``request_cut`` and ``response_cut`` turn true where it kept less than there was.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        self.limits = limits
        self.reading = Reading(kind=endpoint.kind, operation=endpoint.operation, request_model=endpoint.model)
        self.reading.streaming = bool(endpoint.streams)
        self.response_cut = False
        self.budget = Budget(_BUDGET * limits.attribute_bytes)
        self.media_budget = Budget(limits.media_bytes)

    def request(self, body: dict[str, Any]) -> None:
        """Read the request's JSON object."""

    def request_form(self, fields: dict[str, list[str]], files: list[dict[str, str]]) -> None:
        """Read a request that is a multipart form."""

    def response_headers(self, headers: Headers) -> None:
        """Read what the answer's headers say."""

    def document(self, body: Any) -> None:
        """Read an answer that came as one JSON value."""

    def event(self, name: str, body: Any, at_ns: int) -> None:
        """Read one event of a streamed answer."""

    def plain_text(self, text: str) -> None:
        """Read an answer that is text, where the API gives such."""

    def finish(self) -> None:
        """Put together what events brought. Called once, also when the stream broke off."""

    # For subclasses ----------------------------------------------------------------------------

    def token(self, at_ns: int) -> None:
        """Note that generated content arrived."""
        if self.reading.first_token_ns is None:
            self.reading.first_token_ns = at_ns
        self.reading.last_token_ns = at_ns

    def new_text(self) -> Text:
        """Return a text to be put together from deltas."""
        return Text(self.limits.text_characters, self.budget)

    def keep(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return a part of an answer to be held until it ends: trimmed, or its labels where the budget is spent."""
        trim = Trim(self.limits)
        kept: dict[str, Any] = trim.value(value)
        size = len(dumps(kept)) - trim.media_bytes
        if self.media_budget.take(trim.media_bytes) < trim.media_bytes:
            kept = Trim(replace(self.limits, media_bytes=0)).value(value)
        if trim.cut or self.budget.take(size) < size:
            self.response_cut = True
        if self.budget.left > 0:
            return kept
        return {key: name_of(kept[key]) for key in _LABELS if key in kept}

    def text_of(self, text: Text) -> str:
        """Return a put-together text, noting if it was cut."""
        self.response_cut = self.response_cut or text.cut
        return str(text)

    def parameter(self, name: str, value: Any, kinds: tuple[type, ...] = (int, float)) -> None:
        """Keep ``gen_ai.request.<name>`` if the request gave it in one of these types."""
        if isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds):
            self.reading.parameters[f"gen_ai.request.{name}"] = mend(value[:1024]) if isinstance(value, str) else value

    def stop_sequences(self, value: Any) -> None:
        """Keep the stop sequences: one text or a list of them."""
        stops = [value] if isinstance(value, str) else value
        if isinstance(stops, list):
            texts = [name_of(stop) for stop in stops[:64] if isinstance(stop, str)]
            if texts:
                self.reading.parameters["gen_ai.request.stop_sequences"] = texts

    def finish_reason(self, value: Any) -> None:
        """Add a finish reason that was not seen yet."""
        reason = name_of(value)
        if reason and reason not in self.reading.finish_reasons and len(self.reading.finish_reasons) < 64:
            self.reading.finish_reasons.append(reason)

    def error(self, value: Any) -> bool:
        """Note the error that a body or event reports; tell whether it reports one."""
        kind, text = read_error(value)
        if not kind and not text:
            return False
        self.reading.error_type = self.reading.error_type or kind or "error"
        self.reading.error_message = self.reading.error_message or text
        return True


def read_error(body: Any) -> tuple[str, str]:
    """Return type and message of an error in any provider's shape, empty where there is none."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict):
        return "", ""
    inner = body.get("error")
    if isinstance(inner, str):
        return name_of(body.get("error_type")), clean_message(inner)
    if isinstance(inner, dict):
        code = inner.get("code")
        kind = (code if isinstance(code, str) else "") or inner.get("type") or inner.get("status") or code
        return name_of(kind) or ("error" if inner else ""), clean_message(_words(inner))
    if body.get("object") == "error" or body.get("type") in ("error", "invalid_request_error"):
        return name_of(body.get("code") if isinstance(body.get("code"), str) else body.get("type")), clean_message(
            _words(body)
        )
    return "", ""


def read_failure(body: Any) -> tuple[str, str]:
    """Return type and message from the body of an error response, whose shape may be any."""
    kind, text = read_error(body)
    if kind or text:
        return kind, text
    if isinstance(body, str):
        return "", clean_message(body)
    found = as_dict(body)
    return name_of(found.get("__type") or found.get("code") or found.get("type")), clean_message(_words(found))


def clean_message(text: str) -> str:
    """Return an error's words, bounded and without keys in them."""
    return _KEY.sub("[redacted]", mend(text[:MAX_ERROR_CHARACTERS])).strip()


def _words(body: dict[str, Any]) -> str:
    for key in ("message", "detail", "Message", "error_message", "msg"):
        if isinstance(body.get(key), str):
            return str(body[key])
    detail = body.get("detail")
    return str(detail)[:MAX_ERROR_CHARACTERS] if detail else ""
