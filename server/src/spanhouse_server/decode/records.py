"""From OTLP messages to raw records."""

from __future__ import annotations

from typing import Any

from spanhouse_server.decode.check import is_large
from spanhouse_server.decode.logs import decode_logs
from spanhouse_server.decode.metrics import decode_metrics
from spanhouse_server.decode.spans import decode_spans
from spanhouse_server.model.raw import Decoded

_DECODERS = {"traces": decode_spans, "logs": decode_logs, "metrics": decode_metrics}


def decode(signal: str, message: Any, received_ns: int, size_bytes: int | None = None) -> Decoded:
    """Return the records of an export request, mended where senders are known to be careless.

    ``received_ns`` stands in for missing times; ``size_bytes`` is the message's size in protobuf,
    where the caller knows it. Refuses the same records as ``check``.
    """
    decoded = Decoded()
    tally = _DECODERS[signal](message, received_ns, is_large(message, size_bytes), decoded)
    decoded.rejected = tally.rejected
    decoded.message = tally.message()
    return decoded
