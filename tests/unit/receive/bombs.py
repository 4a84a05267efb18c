"""Small bodies that unpack to much."""

from __future__ import annotations

BLOCK_BYTES = 128 * 1024


def zstd_zeros(size_bytes: int) -> bytes:
    """Return a zstd frame of that many zeros (whole blocks), written by hand: packing 10 GiB takes seconds.

    It has a window of 2 MiB, as the packer's would, and blocks that say "this byte so many times" (RFC 8878).
    """
    repeated, last = 1 << 1, 1
    head = repeated | BLOCK_BYTES << 3
    block, end = (kind.to_bytes(3, "little") + b"\0" for kind in (head, head | last))
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * (size_bytes // BLOCK_BYTES - 1) + end
