"""Pixels: the bytes of a response body in, the bytes of a stored picture out.

`process` is the only entry. Well-formed JPEG, PNG and WebP are decoded in this process with OpenCV, everything else in
a helper process whose death does no harm (`isolation.py`). OpenCV and Pillow are only imported in this folder.
"""

from __future__ import annotations

import os

# OpenCV reads this once, when it is first imported. The run reports decoding failures itself.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

from ray_downloader.image.model import ImageError, ImageOptions, ProcessedImage
from ray_downloader.image.process import process

__all__ = ["ImageError", "ImageOptions", "ProcessedImage", "process"]
