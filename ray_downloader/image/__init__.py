"""Pixels: the bytes of a body in, the bytes of a stored picture out.

`process` is the only door. Well-formed JPEG, PNG and WebP are read here with OpenCV; everything else is read in a
helper process that may die without harm (`isolation.py`). OpenCV and Pillow are imported below this folder only.
"""

from __future__ import annotations

import os

# Read once by OpenCV, when it is first imported; a run reports its failures itself.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

from ray_downloader.image.model import ImageError, ImageOptions, ProcessedImage
from ray_downloader.image.process import process

__all__ = ["ImageError", "ImageOptions", "ProcessedImage", "process"]
