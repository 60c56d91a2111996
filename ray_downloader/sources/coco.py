"""The images of a data set in COCO's JSON (https://cocodataset.org/#format-data).

Annotations and categories are not read: they point to images by `id`, which stays a column.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any


def with_uuids(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entry `images`, with `uuid` added where files are named by one, as FathomNet names them."""
    for image in images:
        if name := _uuid_of(image):
            image.setdefault("uuid", name)
    return images


def _uuid_of(image: dict[str, Any]) -> str | None:
    try:
        return str(uuid.UUID(Path(str(image.get("file_name", ""))).stem))
    except ValueError:
        return None
