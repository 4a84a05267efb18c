"""Names of models: the one asked for, and the dated snapshot of it that served."""

from __future__ import annotations

import re

#: What snapshots append: ``-2024-08-06``, ``-20241022``, ``@20250929``, ``-0613``, ``-001``, ``-latest``, ``-v1:0``.
_SNAPSHOT = re.compile(r"[-@:](\d{4}-\d\d-\d\d|\d{8}|\d{3,4}|latest|v\d+(:\d+)?)")


def is_snapshot_of(served: str, asked: str) -> bool:
    """Tell whether one name is another with a date or version appended; both in lower case."""
    return len(served) > len(asked) > 0 and served.startswith(asked) and bool(_SNAPSHOT.fullmatch(served, len(asked)))


def same_model(one: str, other: str) -> bool:
    """Tell whether two names mean one model, whatever stands before the last slash."""
    one, other = one.rpartition("/")[2].lower(), other.rpartition("/")[2].lower()
    return bool(one) and (one == other or is_snapshot_of(one, other) or is_snapshot_of(other, one))
