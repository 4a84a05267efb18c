"""What keeps a blob alive: every record that shows it, also by a reference alone; on both backends."""

from __future__ import annotations

import os
from hashlib import sha256

import pytest

from spanhouse_server.errors import NotFound
from spanhouse_server.model.blob import Blob
from spanhouse_server.query.blobs import blob_bytes
from spanhouse_server.store.blobs import FOR_EVER, MAX_SHOWN, BlobRows, keep_blobs
from spanhouse_server.store.contract import ColumnarStore
from tests.contract.blobs_put import T0, put
from tests.samples_media import b64
from tests.stored import NS

DAY_S = 86_400
DAY_NS = DAY_S * NS


def show(store: ColumnarStore, project: str, at_ns: int, days: int, *hash_starts: str) -> None:
    found = BlobRows()
    found.show(project, at_ns, days, hash_starts)
    keep_blobs(store, found)


def kept(store: ColumnarStore, project: str, digest: str) -> list[int]:
    """Return until when each row of a blob is kept, in days after ``T0``; the last holds."""
    rows = store.select(
        "SELECT version FROM blobs WHERE project_id = {p:String} AND hash = {h:String} ORDER BY version",
        {"p": project, "h": digest},
    )
    return [row["version"] if row["version"] == FOR_EVER else (row["version"] - T0 // NS) // DAY_S for row in rows]


@pytest.mark.parametrize("digits", [64, 40, 33, 32])
def test_a_reference_alone_renews_what_it_refers_to(columnar: ColumnarStore, digits: int) -> None:
    project, data = f"shown {digits}", os.urandom(3000)
    digest = put(columnar, project, data)
    show(columnar, project, T0 + DAY_NS, 30, digest[:digits])
    assert kept(columnar, project, digest) == [31]  # the spare day is enough
    show(columnar, project, T0 + 3 * DAY_NS, 30, digest[:digits])
    assert kept(columnar, project, digest)[-1] == 34
    show(columnar, project, T0 + 3 * DAY_NS, 30, digest[:digits])
    show(columnar, project, T0, 30, digest[:digits])
    assert kept(columnar, project, digest)[-1] == 34
    assert len(kept(columnar, project, digest)) <= 2
    assert blob_bytes(columnar, project, digest) == data
    newest = columnar.select(
        "SELECT * FROM blobs FINAL WHERE project_id = {p:String} AND hash = {h:String}", {"p": project, "h": digest}
    )
    assert [(row["media_type"], row["size_bytes"], row["data"]) for row in newest] == [("image/png", 3000, b64(data))]


def test_what_is_kept_for_ever_keeps_its_media_for_ever(columnar: ColumnarStore) -> None:
    digest = put(columnar, "for ever", os.urandom(2000), days=1)
    show(columnar, "for ever", T0, 0, digest[:33])
    show(columnar, "for ever", T0 + 9 * DAY_NS, 30, digest)
    assert kept(columnar, "for ever", digest)[-1] == FOR_EVER


def test_a_reference_makes_nothing_and_reaches_no_other_project(columnar: ColumnarStore) -> None:
    digest = put(columnar, "theirs", os.urandom(2000))
    show(columnar, "ours", T0 + 9 * DAY_NS, 30, digest, digest[:33], "0" * 64, "0" * 33)
    assert kept(columnar, "theirs", digest) == [31]
    with pytest.raises(NotFound):
        blob_bytes(columnar, "ours", digest)


def test_of_all_that_refers_to_a_blob_the_longest_counts(columnar: ColumnarStore) -> None:
    digest = put(columnar, "longest", os.urandom(2000))
    found = BlobRows()
    for day, hash_start in ((2, digest), (8, digest[:33]), (5, digest[:40]), (1, digest[:33])):
        found.show("longest", T0 + day * DAY_NS, 30, [hash_start])
    keep_blobs(columnar, found)
    assert kept(columnar, "longest", digest)[-1] == 39


def test_bytes_and_reference_in_one_batch(columnar: ColumnarStore) -> None:
    data = os.urandom(2000)
    digest = sha256(data).hexdigest()
    found = BlobRows()
    found.add("one batch", T0, 2, [Blob(digest, "", len(data), b64(data))])
    found.show("one batch", T0 + 5 * DAY_NS, 10, [digest])
    keep_blobs(columnar, found)
    assert kept(columnar, "one batch", digest)[-1] == 16
    assert blob_bytes(columnar, "one batch", digest) == data


def test_many_are_renewed_in_parts(columnar: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spanhouse_server.store.blobs._INSERT_BYTES", 10_000)
    monkeypatch.setattr("spanhouse_server.store.blobs._STARTS_CHUNK", 3)
    datas = [os.urandom(3000) for _ in range(7)]
    digests = [put(columnar, "parts", data) for data in datas]
    show(columnar, "parts", T0 + 9 * DAY_NS, 30, *(digest[: 33 if n % 2 else 64] for n, digest in enumerate(digests)))
    assert [kept(columnar, "parts", digest)[-1] for digest in digests] == [40] * 7
    assert [blob_bytes(columnar, "parts", digest) for digest in digests] == datas


def test_a_flood_of_references_is_bounded(columnar: ColumnarStore) -> None:
    digest = put(columnar, "flood", os.urandom(2000))
    found = BlobRows()
    found.show("flood", T0 + 9 * DAY_NS, 30, [digest])
    found.show("flood", T0 + 9 * DAY_NS, 30, (f"{number:033x}" for number in range(450)))
    found.show("flood", T0 + 9 * DAY_NS, 30, (f"{number:064x}" for number in range(MAX_SHOWN * 2)))
    found.show("flood", T0 + 11 * DAY_NS, 30, [digest])
    assert len(found.shown) == MAX_SHOWN
    keep_blobs(columnar, found)
    assert kept(columnar, "flood", digest)[-1] == 42


def test_references_are_found_by_the_primary_key(columnar: ColumnarStore) -> None:
    digest = put(columnar, "planned shown", os.urandom(2000))
    plan = columnar.select(
        "EXPLAIN indexes = 1 SELECT hash, any(size_bytes), max(version) FROM blobs WHERE project_id = {project:String}"
        " AND (startsWith(hash, {start_0:String}) OR startsWith(hash, {start_1:String})) GROUP BY hash",
        {"project": "planned shown", "start_0": digest[:33], "start_1": "f" * 33},
    )
    text = "\n".join(str(row["explain"]) for row in plan)
    assert f"hash in ['{digest[:33]}'" in text
