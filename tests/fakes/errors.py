"""Errors in the shape of each API, and the headers that come with them."""

from __future__ import annotations

from typing import Any

from tests.fakes import gemini

ANTHROPIC_APIS = frozenset({"messages", "count_tokens"})

_OPENAI = {
    400: ("invalid_request_error", "bad_request"),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_ANTHROPIC = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_MESSAGES = {
    401: "Incorrect API key provided.",
    429: "Rate limit reached for requests.",
    500: "The server had an error while processing your request.",
    529: "Overloaded",
}


def error_body(status: int, message: str, *, api: str, request_id: str) -> dict[str, Any]:
    """Return the error document of an API."""
    message = message or _MESSAGES.get(status, f"The fake provider was told to answer {status}.")
    if api.startswith("gemini"):
        return gemini.error_body(status, message)
    if api in ANTHROPIC_APIS:
        return {
            "type": "error",
            "error": {"type": _ANTHROPIC.get(status, "api_error"), "message": message},
            "request_id": request_id,
        }
    kind, code = _OPENAI.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_headers(status: int, retry_after_s: int) -> dict[str, str]:
    """Return ``Retry-After`` for the statuses that real providers send it with."""
    return {"Retry-After": str(retry_after_s)} if status in (429, 503, 529) else {}
