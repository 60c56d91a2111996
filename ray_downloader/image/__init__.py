"""Pixels: the bytes of a response body in, the bytes of a stored picture out.

`process` is the only entry, with `start` for callers that do not wait for the decoder process. Well-formed JPEG, PNG
and WebP of moderate size are decoded in this process with OpenCV, everything else in the decoder process, whose death
does no harm (`isolation.py`). OpenCV and Pillow are only imported in this folder.
"""

from __future__ import annotations

import os

# OpenCV reads this once, when it is first imported. The run reports decoding failures itself.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

from ray_downloader.image.model import ImageError, ImageOptions, ProcessedImage
from ray_downloader.image.process import process, start

__all__ = ["ImageError", "ImageOptions", "ProcessedImage", "process", "start"]
