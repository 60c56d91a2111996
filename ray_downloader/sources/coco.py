"""The images of a data set in COCO's JSON (https://cocodataset.org/#format-data).

Annotations and categories are not read: they point to images by `id`, which stays a column.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def coco_images(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entry `images`, with the licences that their numbers mean, and `uuid` where files are named by one."""
    licenses = _licenses(document.get("licenses"))
    images = [dict(image) for image in document["images"]]
    for image in images:
        if name := _uuid_of(image):
            image.setdefault("uuid", name)
        if stated := licenses.get(str(image.get("license"))):
            image["license"] = stated
    return images


def _licenses(table: object) -> dict[str, str]:
    """Addresses of licences, else their names, by number."""
    entries = [entry for entry in table if isinstance(entry, dict)] if isinstance(table, list) else []
    return {str(entry.get("id")): str(entry.get("url") or entry.get("name") or "") for entry in entries}


def _uuid_of(image: dict[str, Any]) -> str | None:
    try:
        return str(uuid.UUID(Path(str(image.get("file_name", ""))).stem))
    except ValueError:
        return None
