"""Each blob is stored once, and lives as long as the newest span that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from spanhouse_server.model.blob import Blob
from spanhouse_server.query.blobs import blob_bytes, blob_head
from spanhouse_server.store.blobs import FOR_EVER, BlobRows, keep_blobs
from spanhouse_server.store.contract import ColumnarStore
from tests.samples_media import b64, png
from tests.stored import NS, columnar

DAY_NS = 86_400 * NS
#: Today: rows past their retention would be dropped by a merge.
T0 = 4_000_000_000 * NS
PNG = png()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        yield opened


def blob(data: bytes, kind: str = "image/png") -> Blob:
    return Blob(sha256(data).hexdigest(), kind, len(data), b64(data))


def see(store: ColumnarStore, project: str, received_ns: int, days: int, *blobs: Blob) -> None:
    rows = BlobRows()
    rows.add(project, received_ns, days, blobs)
    keep_blobs(store, rows)


def stored(store: ColumnarStore, project: str) -> list[tuple[int, int]]:
    """Return version and retention of every row written, merged or not."""
    found = store.select(
        "SELECT version, retention_days FROM blobs WHERE project_id = {p:String} ORDER BY version", {"p": project}
    )
    return [(row["version"], row["retention_days"]) for row in found]


def test_what_was_seen_today_is_not_written_again(store: ColumnarStore) -> None:
    for seen in range(5):
        see(store, "once", T0 + seen * DAY_NS // 4, 30, blob(PNG))
    assert len(stored(store, "once")) == 1
    assert blob_bytes(store, "once", sha256(PNG).hexdigest()) == PNG


def test_what_is_seen_later_lives_on(store: ColumnarStore) -> None:
    for day in range(4):
        see(store, "later", T0 + day * 2 * DAY_NS, 30, blob(PNG))
    newest = stored(store, "later")[-1]
    assert newest[0] == (T0 + 6 * DAY_NS) // NS + 31 * 86_400
    see(store, "later", T0, 30, blob(PNG))
    assert stored(store, "later")[-1] == newest


def test_the_longest_retention_wins(store: ColumnarStore) -> None:
    see(store, "ever", T0, 1, blob(PNG))
    see(store, "ever", T0, 0, blob(PNG))
    see(store, "ever", T0 + 400 * DAY_NS, 30, blob(PNG))
    found = store.select("SELECT version, retention_days FROM blobs FINAL WHERE project_id = 'ever'")
    assert [(row["version"], row["retention_days"]) for row in found] == [(FOR_EVER, 0)]


def test_a_row_outlives_the_spans_of_its_day(store: ColumnarStore) -> None:
    rows = BlobRows()
    rows.add("p", T0, 7, [blob(PNG)])
    (row,) = rows.values()
    assert row["received_at"] + (row["retention_days"] + 1) * 86_400 == row["version"]


def test_of_one_batch_the_row_that_lasts_longest_is_kept(store: ColumnarStore) -> None:
    rows = BlobRows()
    for days in (3, 9, 5):
        rows.add("batch", T0, days, [blob(PNG), blob(PNG[:-1])])
    assert {row["retention_days"] for row in rows.values()} == {9}
    keep_blobs(store, rows)
    assert [days for _, days in stored(store, "batch")] == [9, 9]


def test_projects_keep_their_own(store: ColumnarStore) -> None:
    see(store, "mine", T0, 0, blob(PNG))
    see(store, "theirs", T0, 0, blob(PNG))
    assert len(stored(store, "mine")) == len(stored(store, "theirs")) == 1
    assert blob_head(store, "mine", sha256(PNG).hexdigest()[:32]).size_bytes == len(PNG)


def test_large_blobs_go_in_by_parts_and_come_back(store: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanhouse_server.store.blobs._INSERT_BYTES", 10_000)
    datas = [png(seed=seed) for seed in range(4)]
    see(store, "large", T0, 0, *map(blob, datas))
    assert [blob_bytes(store, "large", sha256(data).hexdigest()) for data in datas] == datas
