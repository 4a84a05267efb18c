"""Where the migrations lie: the repository's folder first, else the copy inside the wheel."""

from __future__ import annotations

from pathlib import Path

from spanhouse_server.errors import MigrationError

_PACKAGE = Path(__file__).resolve().parents[1]


def migration_folder(kind: str) -> Path:
    """Return the folder of ``columnar`` or ``records`` migrations.

    In a checkout the repository's own files win: an editable install may hold a stale copy.
    """
    repository = _PACKAGE.parents[2]
    candidates = [_PACKAGE / "_migrations" / kind]
    if (repository / "pyproject.toml").is_file():
        candidates.insert(0, repository / "migrations" / kind)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise MigrationError(f"the {kind} migrations are missing from this installation", "install spanhouse-server again")
