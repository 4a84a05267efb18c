"""The dialects, one small module each.

To add one: write a module with a ``DIALECT`` and put it in the list below, where its markers
are asked for before those of more general ones.
"""

from __future__ import annotations

from spanhouse_server.normalise.dialects import generic, openinference, openllmetry, otel, spanhouse
from spanhouse_server.normalise.dialects.base import Dialect

#: In the order they are tried; the first that matches a span reads it.
DIALECTS: tuple[Dialect, ...] = (
    spanhouse.DIALECT,
    openinference.DIALECT,
    openllmetry.DIALECT,
    otel.DIALECT,
    generic.DIALECT,
)
