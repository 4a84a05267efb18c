"""Applies the numbered files of ``migrations/columnar``, forward only.

ClickHouse has no transactional DDL, so every statement in those files can be repeated (``IF NOT
EXISTS``): a file that was cut off half-way is simply run again. A file whose name ends in
``_embedded`` is for the embedded engine alone; a server only notes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from spanhouse_server.errors import MigrationError, Unavailable
from spanhouse_server.store.columnar.cluster import check_cluster_name, clustered, schema_table
from spanhouse_server.store.columnar.connect import Target
from spanhouse_server.store.columnar.faults import translate, translated
from spanhouse_server.store.columnar.statements import split_statements
from spanhouse_server.store.migration_files import migration_folder

DDL_TIMEOUT_S = 600
_FILE_NAME = re.compile(r"\d{4}_\w+\.sql")
_SCHEMA_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(name String, sha256 String, applied_at DateTime('UTC')) ENGINE = MergeTree ORDER BY name"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: ``0001_spans.sql`` and what is in it."""

    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Return the checksum that tells whether the file was changed after it was applied."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def embedded_only(self) -> bool:
        """Tell whether it is for the embedded engine alone."""
        return self.name.endswith("_embedded")


def load(folder: Path | None = None) -> list[Migration]:
    """Return the migrations in order."""
    folder = folder or migration_folder("columnar")
    paths = sorted(path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name))
    return [Migration(path.stem, path.read_text("utf-8")) for path in paths]


def run(target: Target, cluster: str = "", migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing and return its names. Raises ``MigrationError``."""
    if cluster:
        check_cluster_name(cluster)
    migrations = load() if migrations is None else migrations
    if not target.is_embedded:
        _create_database(target, cluster)
    client = target.client({}, DDL_TIMEOUT_S)
    try:
        with translated():
            client.command(schema_table(cluster) if cluster else _SCHEMA_TABLE)
            applied = _applied(client)
        missing = _missing(migrations, applied)
        for migration in missing:
            if target.is_embedded or not migration.embedded_only:
                _apply(client, migration, cluster)
            _note(client, migration)
        return [migration.name for migration in missing]
    finally:
        client.close()


def _missing(migrations: list[Migration], applied: dict[str, str]) -> list[Migration]:
    known = {migration.name for migration in migrations}
    if strange := sorted(applied.keys() - known):
        raise MigrationError(
            f"the columnar store has the migration {strange[-1]}, which this program does not know",
            "run the newer version of Spanhouse",
        )
    for migration in migrations:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"the migration {migration.name} was changed after it was applied",
                "restore the file; changes to the schema go into a new one",
            )
    return [migration for migration in migrations if migration.name not in applied]


def _apply(client: Client, migration: Migration, cluster: str) -> None:
    for statement in split_statements(migration.sql):
        for form in clustered(statement, cluster) if cluster else [statement]:
            try:
                client.command(form)
            except ClickHouseError as error:
                fault = translate(error)
                if isinstance(fault, Unavailable):
                    raise fault from error
                raise MigrationError(f"the migration {migration.name} failed", fault.hint or fault.message) from error


def _note(client: Client, migration: Migration) -> None:
    with translated():
        client.command(
            "INSERT INTO schema_migrations SELECT {name:String}, {sha256:String}, now()",
            parameters={"name": migration.name, "sha256": migration.sha256},
        )


def _applied(client: Client) -> dict[str, str]:
    result = client.query("SELECT name, argMax(sha256, applied_at) FROM schema_migrations GROUP BY name")
    return {str(name): str(checksum) for name, checksum in result.result_rows}


def _create_database(target: Target, cluster: str) -> None:
    """Create the database the DSN names; a user who may not is fine when it exists already."""
    client = target.client({}, DDL_TIMEOUT_S, with_database=False)
    on_cluster = f" ON CLUSTER '{cluster}'" if cluster else ""
    name = target.database.replace("`", "``")
    try:
        client.command(f"CREATE DATABASE IF NOT EXISTS `{name}`{on_cluster}")
    except ClickHouseError as error:
        if isinstance(error, Error) and error.name in ("ACCESS_DENIED", "READONLY"):
            return
        raise translate(error) from error
    finally:
        client.close()
