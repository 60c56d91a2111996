"""Deterministic pictures: the same path always gives the same JPEG, another path gives another one."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

from PIL import Image


@lru_cache(maxsize=4096)
def jpeg_of(path: str) -> bytes:
    """A real JPEG of 64-127 x 48-111 pixels whose size and colours are derived from `path`."""
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    seed = Image.frombytes("RGB", (3, 3), digest[:27])
    picture = seed.resize((64 + digest[27] % 64, 48 + digest[28] % 64), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
