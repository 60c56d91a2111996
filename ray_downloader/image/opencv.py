"""OpenCV, set up for one thread a worker: the cores are filled with workers, not with threads of one.

And set up to keep the memory of one picture for the next: by default glibc hands every block above 128 kB back to the
kernel. Zeroing fresh pages took half of the time where only decoding was timed (640 x 480: 1.65 against 0.80 ms).
"""

from __future__ import annotations

import ctypes

import cv2

#: Of `malloc.h`.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: Larger blocks are pictures of over 5 megapixels, for which fresh pages cost little beside their decoding.
_KEPT_BLOCK_BYTES = 16 * 2**20
#: Free memory at the end of the heap that a worker keeps, within its 400 MB.
_KEPT_HEAP_BYTES = 32 * 2**20


def _keep_freed_memory() -> None:
    """Tune glibc's allocator; another C library is left as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_HEAP_BYTES)


cv2.setNumThreads(1)
_keep_freed_memory()

__all__ = ["cv2"]
