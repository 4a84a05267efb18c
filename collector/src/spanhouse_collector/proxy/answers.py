"""Answers of the proxy itself, in the one shape that Spanhouse's errors have everywhere."""

from __future__ import annotations

import json

from spanhouse_collector.errors import CollectorError, Refused
from spanhouse_collector.proxy.hook import Answer


def refusal(error: CollectorError) -> Answer:
    """Return the answer to a call that the proxy could not pass on.

    ``Spanhouse-Error`` tells it apart from an error of the upstream's. ``type`` is where clients of
    OpenAI's API look, the ``message`` outside is what those of AWS and Cohere show.
    """
    detail = {"code": error.code, "message": error.message, "hint": error.hint, "type": "spanhouse_proxy"}
    body = error.body if isinstance(error, Refused) else None
    said = f"{error.message}; {error.hint}" if error.hint else error.message
    text = json.dumps(body or {"error": detail, "message": said}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(text)).encode()),
        (b"spanhouse-error", error.code.encode()),
    ]
    if error.http_status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="spanhouse"'))
    if isinstance(error, Refused):
        headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers]
    return Answer(error.http_status, headers, (text,))
