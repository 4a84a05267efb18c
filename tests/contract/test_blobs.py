"""Media in the store, on both backends: what goes in comes out, once, and only where it belongs."""

from __future__ import annotations

import os

import pytest

from spanhouse_server.errors import NotFound
from spanhouse_server.query.blobs import blob_bytes, blob_head
from spanhouse_server.store.contract import ColumnarStore
from tests.contract.blobs_put import T0, put
from tests.stored import NS


@pytest.mark.parametrize("size", [1, 1024, 100_000, 5_000_000])
def test_bytes_of_any_size_come_back(columnar: ColumnarStore, size: int) -> None:
    data = os.urandom(size)
    digest = put(columnar, "sizes", data)
    head = blob_head(columnar, "sizes", digest[:32])
    assert (head.hash, head.media_type, head.size_bytes) == (digest, "image/png", size)
    assert blob_bytes(columnar, "sizes", digest) == data
    with pytest.raises(NotFound):
        blob_head(columnar, "other", digest)


def test_a_merge_leaves_the_copy_that_lasts_longest(columnar: ColumnarStore) -> None:
    data = os.urandom(2000)
    for day in (0, 3, 6):
        digest = put(columnar, "merged", data, T0 + day * 86_400 * NS)
    found = columnar.select("SELECT version, received_at FROM blobs FINAL WHERE project_id = 'merged'")
    assert [row["version"] for row in found] == [T0 // NS + (6 + 31) * 86_400]
    assert blob_bytes(columnar, "merged", digest) == data


def test_a_fetch_reads_by_the_primary_key(columnar: ColumnarStore) -> None:
    digest = put(columnar, "planned", os.urandom(2000))
    plan = columnar.select(
        "EXPLAIN indexes = 1 SELECT data FROM blobs WHERE project_id = {project:String} AND startsWith(hash, {hash:String})"
        " ORDER BY version DESC LIMIT 1",
        {"project": "planned", "hash": digest[:33]},
    )
    text = "\n".join(str(row["explain"]) for row in plan)
    assert f"hash in ['{digest[:33]}'" in text
