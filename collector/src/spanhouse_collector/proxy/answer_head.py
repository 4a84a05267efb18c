"""Reads what an upstream answers to an upgrade, from a copy of what passes through a tunnel."""

from __future__ import annotations

import httptools

from spanhouse_collector.proxy.headers import RawHeaders
from spanhouse_collector.proxy.http1 import MAX_HEAD_BYTES


class AnswerHead:
    """Reads the head of the answer to an upgrade from a copy; of a refusal also where its body ends."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: RawHeaders = []
        self.fresh = False
        self.switched = False
        self.complete = False
        self._body: list[bytes] = []
        self._size = 0
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)

    @property
    def refused(self) -> bool:
        """Tell whether the upstream answered with something else than the upgrade."""
        return bool(self.status) and not self.switched

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those behind the head (of a refusal: its body)."""
        if self._parser is None:
            return data if self.switched else b""
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = None
            return data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._parser = None
            self.complete = not self.switched
            return b""
        if not self.status and self._size > MAX_HEAD_BYTES:
            self.complete = True
        body, self._body = b"".join(self._body), []
        return body

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the final answer."""
        if not self.status:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note the status; informational answers but 101 are followed by another."""
        if self._parser is not None and not self.status:
            status = self._parser.get_status_code()
            if status == 101 or status >= 200:
                self.status, self.fresh, self.switched = status, True, status == 101
            else:
                self.headers = []

    def on_body(self, data: bytes) -> None:
        """Keep a piece of a refusal's body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """Note the end of a refusal."""
        if self.refused:
            self.complete = True
