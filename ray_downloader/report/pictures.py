"""The contact sheet: random stored images as small thumbnails, each with its server and licence.

A report is passed on, so by default it only shows images whose licence allows that; `Pictures.ALL` is for one's own
eyes.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ray_downloader.image.model import ImageError, ImageOptions
from ray_downloader.image.stored import StoredImage, reprocess
from ray_downloader.report.shown import one_line, shown_url
from ray_downloader.sources.licenses import license_name

MOST_PICTURES = 24
#: Files that are opened in search of pictures, and rows of each that are looked at.
MOST_FILES = 60
ROWS_PER_FILE = 32
_OPTIONS = ImageOptions(image_size=150, quality=70, hash_body=False)
#: Licences that allow a thumbnail in a file that is passed on. "No derivatives" is left out: a thumbnail is one.
OPEN_LICENSES = frozenset(
    {"cc0", "pdm", "cc-by", "cc-by-sa", "cc-by-nc", "cc-by-nc-sa", "gfdl", "us-gov", "no-known-copyright"}
)
_COLUMNS = ("identifier", "license", "title", "image", "image_format", "resized_size")


class Pictures(str, Enum):
    """Which images the contact sheet may show."""

    OPEN = "open"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One image.

    Args:
        source: A `data:` URL.
        title: What the list calls it.
        url: Where it came from.
        license: The short name of its licence.
        license_text: The licence as the list has it, often a URL.
    """

    source: str
    title: str
    url: str
    license: str
    license_text: str


def contact_sheet(files: Sequence[Path], which: Pictures, rng: random.Random) -> list[Thumbnail]:
    """Random images of these files, at most one or two from each.

    Args:
        files: Files `successes.parquet` with at least one row.
        which: Which images may be shown.
        rng: Draws them.
    """
    if which is Pictures.NONE or not files:
        return []
    drawn = rng.sample(list(files), min(MOST_FILES, len(files)))
    per_file = max(1, -(-MOST_PICTURES // len(drawn)))
    sheet: list[Thumbnail] = []
    for path in drawn:
        sheet += _of_file(path, which, min(per_file, MOST_PICTURES - len(sheet)), rng)
        if len(sheet) == MOST_PICTURES:
            break
    return sheet


def _of_file(path: Path, which: Pictures, wanted: int, rng: random.Random) -> list[Thumbnail]:
    rows = _some_rows(path, rng)
    rows = [row for row in rows if which is Pictures.ALL or license_name(row["license"] or "") in OPEN_LICENSES]
    thumbnails: list[Thumbnail] = []
    for row in rng.sample(rows, len(rows)):
        if len(thumbnails) == wanted:
            break
        try:
            thumbnails.append(_thumbnail(row))
        except ImageError:
            continue
    return thumbnails


def _some_rows(path: Path, rng: random.Random) -> list[dict[str, Any]]:
    """The first rows of one row group; pages behind them are not read."""
    with pq.ParquetFile(path, buffer_size=1 << 16) as file:
        if not file.metadata.num_rows:
            return []
        there = [name for name in _COLUMNS if name in file.schema_arrow.names]
        group = rng.randrange(file.num_row_groups)
        first = next(file.iter_batches(ROWS_PER_FILE, row_groups=[group], columns=there), None)
    return [{**dict.fromkeys(_COLUMNS), **row} for row in first.to_pylist()] if first is not None else []


def _thumbnail(row: dict[str, Any]) -> Thumbnail:
    height, width = row["resized_size"]
    stored = StoredImage(row["image"], row["image_format"] or "raw", (height, width))
    made = reprocess(stored, _OPTIONS)
    data = base64.b64encode(made.image).decode("ascii")
    return Thumbnail(
        source=f"data:image/jpeg;base64,{data}",
        title=one_line(row["title"] or "", 80),
        url=shown_url(row["identifier"] or ""),
        license=license_name(row["license"] or "") or one_line(row["license"] or "no licence in the list", 60),
        license_text=one_line(row["license"] or "", 200),
    )
