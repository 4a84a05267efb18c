"""What the C library does with memory that was freed (glibc), and the kernel with code that ran (Linux).

Elsewhere nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from pathlib import Path

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 256 * 1024 * 1024

MADV_DONTNEED = 4
#: Smaller libraries are not worth the call.
LARGE_CODE_BYTES = 16 * 1024 * 1024
#: A mapping of code in ``/proc/self/smaps``: where it begins and ends, and what follows up to its own changed pages.
_CODE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r-xp .* /.*\n(?:[A-Z]\w+:.*\n)*?Anonymous: +0 kB$", re.MULTILINE)


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


def let_code_go() -> None:
    """Unmap the pages of large libraries' code: much of the engine's runs at its start or under load only.

    What runs next is mapped again from the file cache, some microseconds a piece; what does not, the
    kernel may use for something else before it takes anybody's memory. Only code nobody changed, as on disk.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for begin, end in _CODE.findall(Path("/proc/self/smaps").read_text()):
            size_bytes = int(end, 16) - int(begin, 16)
            if size_bytes >= LARGE_CODE_BYTES:
                libc.madvise(ctypes.c_void_p(int(begin, 16)), ctypes.c_size_t(size_bytes), MADV_DONTNEED)
