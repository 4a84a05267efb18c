"""Where links in notifications lead."""

from __future__ import annotations

import pytest

from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.desk import public_url_of


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"public_url": "https://spans.example.com/house/"}, "https://spans.example.com/house"),
        ({"host": "127.0.0.1", "http_port": 4318}, "http://127.0.0.1:4318"),
        ({"host": "0.0.0.0", "http_port": 80}, "http://127.0.0.1:80"),
        ({"host": "::1", "http_port": 4318}, "http://[::1]:4318"),
        ({"host": "::", "http_port": 4318}, "http://127.0.0.1:4318"),
    ],
)
def test_as_set_else_where_it_listens(given: dict[str, object], url: str) -> None:
    assert public_url_of(Settings.load({"admin_key": "k" * 32} | given, env={})) == url
