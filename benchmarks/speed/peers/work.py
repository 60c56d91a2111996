"""The pixel work for frameworks that have none of their own: the calls that all contenders make, with their results.

It runs in the peers' environments, so it imports nothing of ours.
"""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

cv2.setNumThreads(1)

LONGEST_SIDE = 256
QUALITY = 95


def stored(body: bytes) -> dict[str, object]:
    """A body as a row: shrunk to the longest side, as JPEG, with both hashes."""
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    height, width = pixels.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    image = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return {"image": image, "md5": hashlib.md5(body).hexdigest(), "md5_stored": hashlib.md5(image).hexdigest()}
