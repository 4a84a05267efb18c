"""A long request's content while its answer streams: compressed, because there may be a thousand of them."""

from __future__ import annotations

import orjson

from spanhouse_collector.parse.contract import Reading
from spanhouse_collector.parse.inflate import zstd
from spanhouse_collector.parse.jsontext import dumps

#: Shorter requests are left as they are: a coding agent's whole conversation is what needs this.
PACK_BYTES = 32 * 1024
_LEVEL = 1


class HeldRequest:
    """Takes the content of a request out of a reading, and gives it back at the end of the call."""

    def __init__(self) -> None:
        self._packed = b""

    def put(self, reading: Reading) -> None:
        """Take the request's content if it is long."""
        content = dumps([reading.system_instructions, reading.input_messages, reading.tool_definitions]).encode()
        if len(content) >= PACK_BYTES:
            self._packed = zstd.compress(content, _LEVEL)
            reading.system_instructions, reading.input_messages, reading.tool_definitions = [], [], []

    def give_back(self, reading: Reading) -> None:
        """Put back what was taken."""
        if self._packed:
            content = orjson.loads(zstd.decompress(self._packed))
            reading.system_instructions, reading.input_messages, reading.tool_definitions = content
            self._packed = b""
