"""Brings the records schema to its newest revision.

Alembic takes a third of a second to import, which start-up can do without: when the revision
table already shows the newest revision (read from the file names), nothing is imported.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from spanhouse_server.errors import MigrationError, SpanhouseError
from spanhouse_server.store.migration_files import migration_folder

VERSION_TABLE = "alembic_version"
_FILE_NAME = re.compile(r"(\d{4})_\w+\.py")
#: Serialises servers that start at the same time on one Postgres.
_ADVISORY_LOCK = 0x5350414E


def newest_revision(folder: Path) -> str:
    """Return the newest revision in ``versions/``; files are named ``0001_what.py``."""
    revisions = [m[1] for path in (folder / "versions").iterdir() if (m := _FILE_NAME.fullmatch(path.name))]
    if not revisions:
        raise MigrationError(f"no migrations in {folder / 'versions'}")
    return max(revisions)


def current_revision(engine: Engine) -> str | None:
    """Return the revision the database is at, or nothing for a new one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        revision: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
        return revision


def upgrade(engine: Engine) -> None:
    """Apply missing revisions in one transaction. Raises ``MigrationError``."""
    folder = migration_folder("records")
    newest = newest_revision(folder)
    current = current_revision(engine)
    if current == newest:
        return
    if current is not None and current > newest:
        raise MigrationError(
            f"the records store is at revision {current}, newer than this program ({newest})",
            "run the newer version of Spanhouse, or restore a backup",
        )
    _run_alembic(engine, folder)


def _run_alembic(engine: Engine, folder: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    try:
        with engine.execution_options(writes=True).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SpanhouseError:
        raise
    except Exception as error:
        raise MigrationError("a migration of the records store failed", str(error).splitlines()[0]) from error
