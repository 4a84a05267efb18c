"""Keeping media: each blob once per project, for as long as the newest span that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.blob import Blob
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore

BlobKey = tuple[str, str]
"""(project_id, hash)"""

_DAY_S = 86_400
#: What ``version`` says of a blob that is kept for ever.
FOR_EVER = 2**64 - 1
#: Hashes per statement, and bytes of rows per insert.
_CHUNK = 1000
_INSERT_BYTES = 32 * 1024 * 1024


class BlobRows(dict[BlobKey, rows.Row]):
    """Rows of ``blobs`` to be stored, each blob once: the row that lasts longest."""

    def add(self, project_id: str, received_ns: int, retention_days: int, blobs: Iterable[Blob]) -> None:
        """Add what was found in a record received at ``received_ns`` and kept for ``retention_days`` (0: for ever)."""
        for blob in blobs:
            row = rows.blob_row(project_id, received_ns, retention_days, _lasts(received_ns, retention_days), blob)
            known = self.get((project_id, blob.hash))
            if known is None or known["version"] < row["version"]:
                self[project_id, blob.hash] = row


def keep_blobs(store: ColumnarStore, found: BlobRows) -> None:
    """Store blobs that are not stored, or not for long enough. Comes before the insert of what refers to them.

    Repeating is harmless.
    """
    by_project: dict[str, list[str]] = {}
    for project_id, digest in found:
        by_project.setdefault(project_id, []).append(digest)
    for project_id, digests in by_project.items():
        kept = _kept(store, project_id, digests)
        # A blob is kept for a day longer than its span, which is how late it may be written anew.
        missing = [row for digest in digests if kept.get(digest, 0) < _needed(row := found[project_id, digest])]
        for part in _parts(missing):
            store.insert("blobs", rows.lines(part))


def _lasts(received_ns: int, retention_days: int) -> int:
    """Return the second until which a blob is kept, as the table's TTL says."""
    return received_ns // NS_PER_S + (retention_days + 1) * _DAY_S if retention_days else FOR_EVER


def _needed(row: rows.Row) -> int:
    """Return until which second the span lasts that shows this blob."""
    lasts: int = row["version"]
    return lasts if lasts == FOR_EVER else lasts - _DAY_S


def _kept(store: ColumnarStore, project_id: str, digests: Sequence[str]) -> dict[str, int]:
    """Return until when those of these blobs are kept that are stored."""
    kept: dict[str, int] = {}
    for start in range(0, len(digests), _CHUNK):
        found = store.select(
            """
            SELECT hash, max(version) AS lasts FROM blobs
            WHERE project_id = {project:String} AND hash IN {hashes:Array(String)} GROUP BY hash
            """,
            {"project": project_id, "hashes": list(digests[start : start + _CHUNK])},
        )
        kept |= {row["hash"]: row["lasts"] for row in found}
    return kept


def _parts(found: Sequence[rows.Row]) -> Iterable[list[rows.Row]]:
    """Cut rows into parts of bounded size, of one row at least."""
    part: list[rows.Row] = []
    size = 0
    for row in found:
        if part and size + len(row["data"]) > _INSERT_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row["data"])
    if part:
        yield part
