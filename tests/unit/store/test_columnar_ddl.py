"""Migrations: how files are cut, what a cluster gets, and what happens when files change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spanhouse_server.errors import ConfigError, MigrationError
from spanhouse_server.store.columnar import migrate
from spanhouse_server.store.columnar.cluster import clustered, schema_table
from spanhouse_server.store.columnar.connect import Target, parse_dsn
from spanhouse_server.store.columnar.migrate import Migration
from spanhouse_server.store.columnar.statements import split_statements
from spanhouse_server.store.contract import TABLES
from spanhouse_server.store.migration_files import migration_folder


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return parse_dsn(f"chdb://{tmp_path}/columnar", 512)


@pytest.fixture
def client(target: Target) -> Iterator:
    client = target.client({}, 30)
    yield client
    client.close()


def test_statements_are_cut_at_semicolons_outside_quotes_and_comments() -> None:
    sql = """
    -- a comment; with a trace's quote
    CREATE TABLE a (x String DEFAULT 'it''s; -- no comment', `odd;name` Int8) /* ; */ ENGINE = Log;
    ;
    ALTER TABLE a ADD COLUMN "y;" String DEFAULT '\\';'  -- the last one needs no semicolon
    """
    first, second = split_statements(sql)
    assert "'it''s; -- no comment'" in first
    assert first.endswith("ENGINE = Log")
    assert second.endswith("'\\';'")
    assert "comment;" not in first


def test_the_repository_folder_holds_every_table() -> None:
    assert {one.name.split("_", 1)[1] for one in migrate.load()} >= set(TABLES)
    assert migration_folder("records").joinpath("env.py").is_file()


def test_every_migration_has_a_cluster_form_that_parses(client) -> None:
    statements = [schema_table("prod")]
    for migration in migrate.load():
        for statement in split_statements(migration.sql):
            made = clustered(statement, "prod")
            assert len(made) == 2 or "COLUMN" not in statement
            statements += made
    assert len(statements) > 2 * len(TABLES)
    for statement in statements:
        formatted = client.query("SELECT formatQuery({sql:String}) AS sql", parameters={"sql": statement}).result_rows[
            0
        ][0]
        assert "ON CLUSTER prod" in formatted
    for table in TABLES:
        local = next(one for one in statements if f"EXISTS {table}_local " in one)
        assert (
            "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version"
            in local
        )
        spread = next(one for one in statements if f"EXISTS {table} " in one)
        assert f"Distributed('prod', currentDatabase(), '{table}_local', cityHash64(project_id, " in spread


def test_alterations_reach_both_tables(client) -> None:
    added = clustered("ALTER TABLE spans ADD COLUMN x String", "c")
    assert added == [
        "ALTER TABLE spans_local ON CLUSTER 'c' ADD COLUMN x String",
        "ALTER TABLE spans ON CLUSTER 'c' ADD COLUMN x String",
    ]
    indexed = clustered("ALTER TABLE spans ADD INDEX i x TYPE minmax", "c")
    assert indexed == ["ALTER TABLE spans_local ON CLUSTER 'c' ADD INDEX i x TYPE minmax"]
    for statement in added + indexed:
        client.query("SELECT formatQuery({sql:String})", parameters={"sql": statement})
    with pytest.raises(MigrationError):
        clustered("DROP TABLE spans", "c")


@pytest.mark.parametrize("name", ["a'b", "", "a b", "x;y"])
def test_a_cluster_name_is_a_name(name: str) -> None:
    with pytest.raises(ConfigError):
        schema_table(name)


ONE = Migration("0001_one", "CREATE TABLE IF NOT EXISTS one (x Int8) ENGINE = MergeTree ORDER BY x;")
TWO = Migration(
    "0002_two",
    "CREATE TABLE IF NOT EXISTS two (x Int8) ENGINE = MergeTree ORDER BY x; ALTER TABLE two ADD COLUMN IF NOT EXISTS y Int8;",
)


def test_only_what_is_missing_runs(target: Target) -> None:
    assert migrate.run(target, migrations=[ONE]) == ["0001_one"]
    assert migrate.run(target, migrations=[ONE, TWO]) == ["0002_two"]
    assert migrate.run(target, migrations=[ONE, TWO]) == []


def test_a_changed_file_is_refused(target: Target) -> None:
    migrate.run(target, migrations=[ONE, TWO])
    with pytest.raises(MigrationError, match="0001_one was changed"):
        migrate.run(target, migrations=[Migration("0001_one", ONE.sql + "-- more"), TWO])


def test_an_older_program_is_refused(target: Target) -> None:
    migrate.run(target, migrations=[ONE, TWO])
    with pytest.raises(MigrationError, match="0002_two"):
        migrate.run(target, migrations=[ONE])


def test_a_file_cut_off_half_way_is_run_again(target: Target) -> None:
    broken = Migration("0002_two", TWO.sql + "ALTER TABLE absent ADD COLUMN z Int8;")
    with pytest.raises(MigrationError, match="0002_two failed"):
        migrate.run(target, migrations=[ONE, broken])
    assert migrate.run(target, migrations=[ONE, TWO]) == ["0002_two"]


@pytest.mark.parametrize(
    "dsn",
    ["", "chdb://", "chdb://relative/path", "http://localhost:8123", "clickhouse://", "postgres://h/d", "nonsense"],
)
def test_an_unreadable_dsn_is_a_configuration_error(dsn: str) -> None:
    with pytest.raises(ConfigError):
        parse_dsn(dsn, 512)
