"""An image through the proxy of a real server: the provider gets it as it was, its span shows it from the store."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

from tests.fakes.provider import FakeProvider
from tests.samples_media import address, png, uri
from tests.server import Server, running
from tests.waiting import until

IMAGE = png(200, 160)


def images(server: Server) -> list[dict[str, Any]]:
    """Return the parts of all stored calls that are no text."""
    found = []
    for item in server.call("/api/v1/spans?q=category:llm")["items"]:
        span = server.call(f"/api/v1/traces/{item['trace_id']}/spans/{item['span_id']}")
        found += [part for message in span["input_messages"] for part in message["parts"] if part["type"] != "text"]
    return found


def test_an_image_through_the_proxy_is_kept_apart(tmp_path: Path) -> None:
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": address(IMAGE)}}]
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]}
    with FakeProvider() as provider:
        base = provider.openai_url.removesuffix("/v1")
        with running(tmp_path, "--proxy-upstream", f"openai={base}") as server:
            for _ in range(2):
                status, answer = server.request("/proxy/openai/v1/chat/completions", body)
                assert status == 200, answer
            assert [served.request["messages"] for served in provider.served] == [body["messages"]] * 2
            until(lambda: len(images(server)) == 2, lambda: images(server))
            parts = images(server)
            assert {(part["type"], part["uri"], part["size_bytes"]) for part in parts} == {
                ("uri", uri(IMAGE), len(IMAGE))
            }
            with urllib.request.urlopen(server.url + parts[0]["address"]) as reply:
                assert reply.headers["content-type"] == "image/png"
                assert reply.read() == IMAGE
