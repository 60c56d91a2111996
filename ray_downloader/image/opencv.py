"""OpenCV, configured for one thread per worker: workers fill the cores, not threads of one worker.

Memory is also kept from one picture to the next: by default glibc returns every block above 128 kB to the kernel, and
zeroing fresh pages took half of the decoding time (640 x 480: 1.65 against 0.80 ms).
"""

from __future__ import annotations

import ctypes

import cv2

#: From `malloc.h`.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: Larger blocks are pictures of over 5 megapixels, whose decoding takes much longer than zeroing fresh pages.
_KEPT_BLOCK_BYTES = 16 * 2**20
#: Free memory that a worker keeps at the end of its heap, within its 400 MB.
_KEPT_HEAP_BYTES = 32 * 2**20


def _keep_freed_memory() -> None:
    """Tune glibc's allocator; other C libraries are left alone."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_HEAP_BYTES)


cv2.setNumThreads(1)
_keep_freed_memory()

__all__ = ["cv2"]
