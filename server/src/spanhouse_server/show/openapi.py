"""The OpenAPI document of the API, made without a store."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from spanhouse_server import __version__
from spanhouse_server.show.api import PREFIX, router
from spanhouse_server.show.context import ShowContext

_ABOUT = """Query API of Spanhouse. Every call works in one project: the key's own, or `project`.
Times are RFC 3339 in UTC; money is US dollars as decimal strings. Errors have one shape everywhere.
"""


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document that the web page's types are generated from."""
    # No handler runs, so nothing of the context is needed.
    app = FastAPI()
    app.include_router(router(cast("ShowContext", None)), prefix=PREFIX)
    found = get_openapi(title="Spanhouse", version=__version__, description=_ABOUT, routes=app.routes)
    for operations in found["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
    for unused in ("HTTPValidationError", "ValidationError"):
        found.get("components", {}).get("schemas", {}).pop(unused, None)
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "spanhouse_session"},
    }
    found["components"]["securitySchemes"] = schemes
    found["security"] = [{}, *({name: []} for name in schemes)]
    return found
