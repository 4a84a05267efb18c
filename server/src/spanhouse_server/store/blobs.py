"""Keeping media: each blob once per project, for as long as the newest record that shows it.

A record shows a blob by its bytes, or by a reference alone: a span that its log records join days later, an upload
that later spans name. Either way the blob is kept as long as the record, which counts from the record's arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.blob import Blob
from spanhouse_server.store import rows
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.contract import ColumnarStore

BlobKey = tuple[str, str]
"""(project_id, hash)"""

_DAY_S = 86_400
#: What ``version`` says of a blob that is kept for ever.
FOR_EVER = 2**64 - 1
#: References looked after per batch: what is more is looked after when it is seen again.
MAX_SHOWN = 20_000
#: Hashes per statement, beginnings of hashes per statement, and bytes of rows per insert.
_CHUNK = 1000
_STARTS_CHUNK = 200
_INSERT_BYTES = 32 * 1024 * 1024
_HASH_DIGITS = 64

Part = TypeVar("Part")


class Keep(NamedTuple):
    """Until when a blob is to be kept (unix second), as a record received at ``received_ns`` for some days needs it."""

    lasts: int
    received_ns: int
    retention_days: int


class BlobRows(dict[BlobKey, rows.Row]):
    """Rows of ``blobs`` to be stored, each blob once: the row that lasts longest.

    ``shown`` has what records refer to without its bytes, by the beginning of its hash.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[BlobKey, Keep] = {}

    def add(self, project_id: str, received_ns: int, retention_days: int, blobs: Iterable[Blob]) -> None:
        """Add what was found in a record received at ``received_ns`` and kept for ``retention_days`` (0: for ever)."""
        for blob in blobs:
            row = rows.blob_row(project_id, received_ns, retention_days, _lasts(received_ns, retention_days), blob)
            known = self.get((project_id, blob.hash))
            if known is None or known["version"] < row["version"]:
                self[project_id, blob.hash] = row

    def show(self, project_id: str, received_ns: int, retention_days: int, hash_starts: Iterable[str]) -> None:
        """Add what such a record refers to: hashes (hex), or at least 32 digits of them."""
        keep = Keep(_lasts(received_ns, retention_days), received_ns, retention_days)
        for hash_start in hash_starts:
            known = self.shown.get((project_id, hash_start))
            if (known is None and len(self.shown) < MAX_SHOWN) or (known is not None and known < keep):
                self.shown[project_id, hash_start] = keep


def keep_blobs(store: ColumnarStore, found: BlobRows) -> None:
    """Store blobs that are not stored, or not for long enough. Comes before the insert of what refers to them.

    Repeating is harmless.
    """
    for project_id, digests in _by_project(found).items():
        kept = {each.hash: each.lasts for each in _kept(store, project_id, digests)}
        # A blob is kept for a day longer than its span, which is how late it may be written anew.
        missing = [
            row for digest in digests if kept.get(digest, 0) < _needed((row := found[project_id, digest])["version"])
        ]
        for part in _parts(missing, lambda row: len(row["data"])):
            store.insert("blobs", rows.lines(part))
    # What came with its bytes is kept by now.
    shown = [key for key, keep in found.shown.items() if key not in found or found[key]["version"] < keep.lasts]
    for project_id, starts in _by_project(shown).items():
        _renew(store, project_id, {start: found.shown[project_id, start] for start in starts})


def _by_project(keys: Iterable[BlobKey]) -> dict[str, list[str]]:
    projects: dict[str, list[str]] = {}
    for project_id, digest in keys:
        projects.setdefault(project_id, []).append(digest)
    return projects


def _renew(store: ColumnarStore, project_id: str, shown: Mapping[str, Keep]) -> None:
    """Write those of these blobs anew that are stored and would go before what refers to them."""
    lengths = {len(start) for start in shown}
    late: dict[_Kept, Keep] = {}
    for stored in _kept(store, project_id, list(shown)):
        starts = (stored.hash[:length] for length in lengths)
        keep = max(shown[start] for start in starts if start in shown)
        if stored.lasts < _needed(keep.lasts):
            late[stored] = keep
    keeps = {stored.hash: keep for stored, keep in late.items()}
    for part in _parts(late, lambda stored: stored.size_bytes * 4 // 3):
        again = BlobRows()
        for row in store.select(
            """
            SELECT hash, media_type, size_bytes, data FROM blobs
            WHERE project_id = {project:String} AND hash IN {hashes:Array(String)}
            ORDER BY hash, version DESC LIMIT 1 BY hash
            """,
            {"project": project_id, "hashes": [stored.hash for stored in part]},
        ):
            again.add(project_id, keeps[row["hash"]].received_ns, keeps[row["hash"]].retention_days, [Blob(**row)])
        store.insert("blobs", rows.lines(again.values()))


def _lasts(received_ns: int, retention_days: int) -> int:
    """Return the second until which a blob is kept, as the table's TTL says."""
    return received_ns // NS_PER_S + (retention_days + 1) * _DAY_S if retention_days else FOR_EVER


def _needed(lasts: int) -> int:
    """Return until which second the record lasts that wants its blob kept until ``lasts``."""
    return lasts if lasts == FOR_EVER else lasts - _DAY_S


class _Kept(NamedTuple):
    """A stored blob, and until when it is kept."""

    hash: str
    size_bytes: int
    lasts: int


def _kept(store: ColumnarStore, project_id: str, starts: Sequence[str]) -> list[_Kept]:
    """Return those of the blobs with these hashes, or beginnings of hashes, that are stored."""
    whole = [start for start in starts if len(start) == _HASH_DIGITS]
    begun = [start for start in starts if len(start) < _HASH_DIGITS]
    found: set[_Kept] = set()
    for part in chunks(whole, _CHUNK):
        found.update(_select(store, project_id, "hash IN {hashes:Array(String)}", {"hashes": part}))
    for part in chunks(begun, _STARTS_CHUNK):
        values = {f"start_{number}": start for number, start in enumerate(part)}
        condition = " OR ".join(f"startsWith(hash, {{{name}:String}})" for name in values)  # each a range of the key
        found.update(_select(store, project_id, f"({condition})", values))
    return list(found)


def _select(store: ColumnarStore, project_id: str, condition: str, values: Mapping[str, object]) -> Iterable[_Kept]:
    found = store.select(
        f"""
        SELECT hash, any(size_bytes) AS size, max(version) AS lasts FROM blobs
        WHERE project_id = {{project:String}} AND {condition} GROUP BY hash
        """,  # noqa: S608 - only our own text is put in
        {"project": project_id, **values},
    )
    return (_Kept(row["hash"], row["size"], row["lasts"]) for row in found)


def _parts(found: Iterable[Part], size_bytes: Callable[[Part], int]) -> Iterable[list[Part]]:
    """Cut rows into parts of bounded size, of one row at least."""
    part: list[Part] = []
    size = 0
    for row in found:
        row_bytes = size_bytes(row)
        if part and size + row_bytes > _INSERT_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += row_bytes
    if part:
        yield part
