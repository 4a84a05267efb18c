"""Media that MLflow keeps itself and never sends: what the address in their place tells of them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qs

ATTACHED = "mlflow-attachment://"
_LONGEST_ADDRESS, _SIZE_DIGITS = 2000, 12


class Attachment(NamedTuple):
    """The type (may be empty) and size in bytes (may be unknown) of an attachment."""

    media_type: str
    size_bytes: int | None


def read_attachment(address: str) -> Attachment:
    """Return what an address that begins with ``ATTACHED`` tells."""
    told = parse_qs(address[:_LONGEST_ADDRESS].partition("?")[2])
    size = told.get("size", [""])[0]
    known = size.isascii() and size.isdigit() and len(size) <= _SIZE_DIGITS
    return Attachment(told.get("content_type", [""])[0], int(size) if known else None)
