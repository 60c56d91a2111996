"""OpenCV, set up for one thread a worker: the cores are filled with workers, not with threads of one."""

from __future__ import annotations

import cv2

cv2.setNumThreads(1)

__all__ = ["cv2"]
