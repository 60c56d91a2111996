"""Reads the images of a data set in COCO's JSON (https://cocodataset.org/#format-data) as a table.

Annotations and categories are not read: they point to images by `id`, which stays a column.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.sources.locate import READABLE


def write_coco_images(path: Path, shown: str, target: Path) -> Path:
    """Write the entry `images` as parquet, all columns text; `uuid` is added where files are named by one.

    Args:
        path: The JSON file.
        shown: What the user knows it by.
        target: The parquet file.

    Raises:
        UserError: It is no JSON, or has no list of images.
    """
    images = _images(path, shown)
    for image in images:
        if name := _uuid_of(image):
            image.setdefault("uuid", name)
    names = list(dict.fromkeys(name for image in images for name in image))
    columns = {name: pa.array([_text(image.get(name)) for image in images], pa.string()) for name in names}
    pq.write_table(pa.table(columns), target)
    return target


def _images(path: Path, shown: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{shown} is not JSON: {error}") from None
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise UserError(
            f"{shown} is a JSON document; what can be read: {READABLE}, or a data set in COCO's JSON (it has 'images')"
        )
    return images


def _uuid_of(image: dict[str, Any]) -> str | None:
    """The name of its file, where that is a uuid, as FathomNet names them."""
    try:
        return str(uuid.UUID(Path(str(image.get("file_name", ""))).stem))
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
