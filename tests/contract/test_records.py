"""What the records store keeps, on SQLite and on a real Postgres."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from spanhouse_server.errors import BadRequest, ConfigError, Conflict, MigrationError, NotFound, StoreUnavailable
from spanhouse_server.store.contract import RecordsStore
from spanhouse_server.store.records import open_records
from spanhouse_server.store.records.engine import make_engine
from spanhouse_server.store.records.tables import Base


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/sub/records.db"
        return
    base = request.getfixturevalue("postgres_url")
    engine = sa.create_engine(base.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE t"))
    yield base.removesuffix("/postgres") + "/t"
    with engine.connect() as connection:
        connection.execute(sa.text("DROP DATABASE t WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def records(url: str) -> Iterator[RecordsStore]:
    store = open_records(url)
    store.migrate()
    yield store
    store.close()


def test_the_default_project_is_always_there(records: RecordsStore, url: str) -> None:
    records.migrate()
    again = open_records(url)
    again.migrate()
    assert [project.id for project in again.projects()] == ["default"]
    assert records.project("default") == again.projects()[0]
    again.close()


def test_projects(records: RecordsStore) -> None:
    made = records.create_project("Support Bot (Zürich)", retention_days=30)
    assert (made.id, made.retention_days) == ("support-bot-zurich", 30)
    assert [project.id for project in records.projects()] == ["default", made.id]
    assert records.project(made.id) == made
    assert records.project("nope") is records.project("a\0b") is records.project("\ud800") is None
    assert records.create_project("日本").id.startswith("p-")


@pytest.mark.parametrize("name", ["Support bot", " support-BOT "])
def test_a_name_taken_is_a_conflict(records: RecordsStore, name: str) -> None:
    records.create_project("support bot")
    with pytest.raises(Conflict):
        records.create_project(name)


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_bad_names(records: RecordsStore, name: str) -> None:
    with pytest.raises(BadRequest):
        records.create_project(name)
    with pytest.raises(BadRequest):
        records.create_key("default", name)
    with pytest.raises(BadRequest):
        records.create_project("fine", retention_days=-1)


def test_keys_open_until_revoked(records: RecordsStore) -> None:
    other = records.create_project("other")
    key, secret = records.create_key("default", "laptop")
    _, foreign = records.create_key(other.id, "theirs")
    assert secret.startswith("sk-sh-")
    assert len(secret) == 6 + 32
    assert key.prefix == secret[:12]
    assert records.authenticate(secret) == key
    found = records.authenticate(foreign)
    assert found
    assert found.project_id == "other"
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), "sk-sh-\0", "\ud800", "' OR '1'='1"):
        assert records.authenticate(wrong) is None
    with pytest.raises(NotFound):
        records.revoke_key("other", key.id)
    records.revoke_key("default", key.id)
    assert records.authenticate(secret) is None
    (listed,) = records.keys("default")
    revoked_ns = listed.revoked_ns
    assert revoked_ns
    records.revoke_key("default", key.id)
    assert records.keys("default")[0].revoked_ns == revoked_ns
    with pytest.raises(NotFound):
        records.revoke_key("default", "nope")
    with pytest.raises(NotFound):
        records.create_key("nope", "k")


def test_secrets_are_never_stored(records: RecordsStore, url: str) -> None:
    _, secret = records.create_key("default", "k")
    engine = make_engine(url)
    with engine.connect() as connection:
        stored = " ".join(str(row) for row in connection.execute(sa.text("SELECT * FROM api_keys")))
    engine.dispose()
    assert secret[:12] in stored
    assert secret[12:] not in stored


def test_settings(records: RecordsStore) -> None:
    assert records.setting("a") is None
    records.put_setting("a", "1")
    records.put_setting("a", "zwei 😀")
    assert records.setting("a") == "zwei 😀"


def test_the_first_setting_holds_for_all_who_make_one_at_once(records: RecordsStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda seed: records.first_setting("once", str(seed)), range(8)))
    assert found == {records.setting("once")}
    assert records.first_setting("once", "later") in found


def test_the_slower_of_two_that_make_a_setting_gets_the_value_of_the_quicker(
    records: RecordsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.put_setting("raced", "quicker")
    real, unseen = records.setting, iter([None])
    # It looked before the other wrote.
    monkeypatch.setattr(records, "setting", lambda key: next(unseen, real(key)))
    assert records.first_setting("raced", "slower") == "quicker"


def test_many_threads(records: RecordsStore) -> None:
    faults: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for n in range(5):
                records.put_setting(f"shared {n}", str(seed))
                _, secret = records.create_key("default", f"{seed}.{n}")
                assert records.authenticate(secret)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(records.keys("default")) == 60


def test_servers_that_start_together(url: str) -> None:
    faults: list[BaseException] = []

    def start() -> None:
        store = open_records(url)
        try:
            store.migrate()
            assert store.project("default")
        except BaseException as error:
            faults.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_migrations_add_up_to_the_tables(records: RecordsStore, url: str) -> None:
    engine = make_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_a_newer_schema_is_left_alone(records: RecordsStore, url: str) -> None:
    engine = make_engine(url)
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(MigrationError, match="9999"):
        records.migrate()


def test_a_migration_cut_off_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    create_index = op.create_index

    def fail(*_args: object, **_more: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(op, "create_index", fail)
    store = open_records(url)
    with pytest.raises(MigrationError, match="failed"):
        store.migrate()
    monkeypatch.setattr(op, "create_index", create_index)
    store.migrate()
    assert store.project("default")
    store.close()


def test_a_start_without_news_does_not_import_alembic(records: RecordsStore, url: str) -> None:
    code = (
        "import sys; from spanhouse_server.store.records import open_records; "
        "store = open_records(sys.argv[1]); store.migrate(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, url], timeout=60, check=False).returncode == 0


def test_an_outage_is_unavailable(tmp_path: Path) -> None:
    store = open_records("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable):
        store.migrate()
    with pytest.raises(StoreUnavailable):
        store.authenticate("sk-sh-x")
    (tmp_path / "folder.db").mkdir()
    store = open_records(f"sqlite:///{tmp_path}/folder.db")
    with pytest.raises(StoreUnavailable):
        store.projects()


@pytest.mark.parametrize("bad", ["mysql://root@h/d", "nonsense", "postgres"])
def test_an_unknown_database_is_refused(bad: str) -> None:
    with pytest.raises(ConfigError):
        open_records(bad)


def test_postgres_that_restarts_is_found_again(records: RecordsStore, url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no server")
    assert records.projects()
    admin = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 't' AND pid <> pg_backend_pid()"
    with admin.connect() as connection:
        connection.execute(sa.text(kill))
    admin.dispose()
    assert records.projects()
