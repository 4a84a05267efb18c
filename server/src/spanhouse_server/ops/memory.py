"""What the C library does with memory that was freed (glibc; elsewhere nothing happens)."""

from __future__ import annotations

import contextlib
import ctypes

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 256 * 1024 * 1024


def keep_memory() -> None:
    """Have it kept for the next batch.

    It would give tens of megabytes back and have every page zeroed again by the kernel, each time.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)


def give_memory_back() -> None:
    """Have it given back, from all threads' arenas: by itself only the end of an arena is, never the holes in it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
