"""Retentions that end beyond the engine's dates, or that its column cannot hold, keep for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from spanhouse_server.query.scores import NewScore, store_scores
from spanhouse_server.store.columnar import open_columnar
from spanhouse_server.store.records import open_records
from spanhouse_server.store.retention import MAX_DAYS, Retention, bounded


@pytest.mark.parametrize(
    ("days", "kept"), [(0, 0), (1, 1), (MAX_DAYS, MAX_DAYS), (MAX_DAYS + 1, 0), (36_500, 0), (10**9, 0)]
)
def test_days_that_the_engine_cannot_hold_are_for_ever(days: int, kept: int) -> None:
    assert bounded(days) == kept


def test_projects_that_keep_for_a_century_keep_for_ever(tmp_path: Path) -> None:
    records = open_records(f"sqlite:///{tmp_path}/records.db")
    records.migrate()
    made = {days: records.create_project(f"keeps {days}", days).id for days in (0, 30, 36_500)}
    by_project = Retention(records, 40_000).by_project()
    assert [by_project[made[days]] for days in (0, 30, 36_500)] == [0, 30, 0]
    records.close()


def test_what_is_kept_for_longer_than_a_column_can_say_is_stored_and_there_after_a_merge(tmp_path: Path) -> None:
    store = open_columnar(f"chdb://{tmp_path}/columnar")
    store.migrate()
    for days in (36_500, 10**6):
        store_scores(store, "default", [NewScore(trace_id="a" * 32, name="helpful", value=1.0)], days)
    with store._inserts.client() as client:  # type: ignore[attr-defined]
        client.command("OPTIMIZE TABLE scores FINAL")
    rows = store.select("SELECT retention_days FROM scores FINAL WHERE project_id = 'default'")
    assert [row["retention_days"] for row in rows] == [0, 0]
    store.close()
