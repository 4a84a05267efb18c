"""Turns the single-server DDL of a migration into that of a cluster.

Each table ``t`` becomes ``t_local`` on every node, replicated within a shard, and ``t`` itself a
Distributed table over them, so that the rest of the house reads and writes the same names. All
rows of a trace go to one shard, which keeps ``FINAL`` exact.
"""

from __future__ import annotations

import re

from spanhouse_server.errors import ConfigError, MigrationError

_NAME = re.compile(r"[A-Za-z0-9_.{}-]+")
_CREATE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)\s*\(", re.IGNORECASE)
_ENGINE = re.compile(r"ENGINE\s*=\s*((?:\w+)?MergeTree)\s*(?:\(([^)]*)\))?", re.IGNORECASE)
_ALTER = re.compile(r"ALTER TABLE (\w+)\s+", re.IGNORECASE)
_COLUMN_CHANGE = re.compile(r"(ADD|DROP|MODIFY|RENAME|COMMENT|CLEAR)\s+COLUMN", re.IGNORECASE)

#: What decides the shard; most tables hold traces.
_SHARD_KEYS = {
    "metric_points": "cityHash64(project_id, name, series_id)",
    "blobs": "cityHash64(project_id, hash)",
    # A bucket and its mark lie together.
    "rollups": "cityHash64(project_id, start_s)",
    "rollup_marks": "cityHash64(project_id, start_s)",
    "rollup_state": "cityHash64(project_id)",
}
_TRACE_SHARD = "cityHash64(project_id, trace_id)"


def check_cluster_name(cluster: str) -> None:
    """Raise ``ConfigError`` for a name that could not be quoted safely."""
    if not _NAME.fullmatch(cluster):
        raise ConfigError(f"SPANHOUSE_STORE_CLUSTER={cluster!r} is not a cluster name")


def clustered(statement: str, cluster: str) -> list[str]:
    """Return the statements that do on a cluster what ``statement`` does on one server."""
    check_cluster_name(cluster)
    if created := _CREATE.match(statement):
        return _create(statement, created[1], cluster)
    if altered := _ALTER.match(statement):
        return _alter(statement[altered.end() :], altered[1], cluster)
    raise MigrationError(f"no cluster form for the statement {statement[:60]!r}")


def schema_table(cluster: str) -> str:
    """Return the DDL of the table of applied migrations, one copy shared by all shards."""
    check_cluster_name(cluster)
    return (
        f"CREATE TABLE IF NOT EXISTS schema_migrations ON CLUSTER '{cluster}' "
        "(name String, sha256 String, applied_at DateTime('UTC')) "
        "ENGINE = ReplicatedMergeTree('/clickhouse/tables/all/{database}/schema_migrations', '{shard}-{replica}') "
        "ORDER BY name"
    )


def _create(statement: str, table: str, cluster: str) -> list[str]:
    engine = _ENGINE.search(statement)
    if engine is None:
        raise MigrationError(f"the table {table} has no MergeTree engine")
    arguments = ["'/clickhouse/tables/{shard}/{database}/{table}'", "'{replica}'"]
    if engine[2] and engine[2].strip():
        arguments.append(engine[2].strip())
    replicated = f"ENGINE = Replicated{engine[1]}({', '.join(arguments)})"
    body = statement[: engine.start()] + replicated + statement[engine.end() :]
    local = _CREATE.sub(f"CREATE TABLE IF NOT EXISTS {table}_local ON CLUSTER '{cluster}'\n(", body, count=1)
    spread = (
        f"CREATE TABLE IF NOT EXISTS {table} ON CLUSTER '{cluster}' AS {table}_local\n"
        f"ENGINE = Distributed('{cluster}', currentDatabase(), '{table}_local', {_SHARD_KEYS.get(table, _TRACE_SHARD)})"
    )
    return [local, spread]


def _alter(change: str, table: str, cluster: str) -> list[str]:
    local = f"ALTER TABLE {table}_local ON CLUSTER '{cluster}' {change}"
    if _COLUMN_CHANGE.match(change):
        return [local, f"ALTER TABLE {table} ON CLUSTER '{cluster}' {change}"]
    return [local]
