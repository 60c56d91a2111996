"""For `export`: the card of an export (`README.md`), with counts and licences, and a contact sheet of some pictures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import yaml

from ray_downloader.image.sheet import contact_sheet
from ray_downloader.output.data_card import card_configs
from ray_downloader.run_folder.atomic import replacing, write_text
from ray_downloader.sql import identifier
from ray_downloader.tools.context import ToolContext
from ray_downloader.tools.queries import columns_of
from ray_downloader.tools.rows import chunks_of

CARD, SHEET = "README.md", "contact_sheet.jpg"
_SHEET_IMAGES = 48
_MAX_LICENSES = 50
_MAX_CLASSES = 100
_DATA_FILES = {
    "webdataset": "shards/*.tar",
    "parquet": "data/*.parquet",
    "imagefolder": "train/**",
    "lance": "images.lance/data/*",
}


def write_card(
    context: ToolContext, folder: Path, connection: duckdb.DuckDBPyConnection, counts: Mapping[str, int], version: str
) -> None:
    """Write the card and the contact sheet into `folder`.

    Args:
        connection: With the view `images`.
        counts: What the shards counted.
        version: Names what is in the shards.
    """
    form, label = context.parameters.export_format, context.settings.export.label
    head = {
        "configs": card_configs(_DATA_FILES[form], version),
        "tags": ["image", "ray_downloader"],
    }
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False) + "---",
        "",
        "# Images",
        "",
        *(f"- {kind.replace('_', ' ')}: {count:,}" for kind, count in counts.items()),
        "",
        f"![some of the images]({SHEET})",
        "",
        *_counted(connection, "license", "licence", _MAX_LICENSES),
        *(_counted(connection, label, f"label ({label})", _MAX_CLASSES) if label else ()),
    ]
    pictures = (image for batch in context.batches for chunk in chunks_of(batch.path) for image in chunk.images())
    with replacing(folder / SHEET) as temp:
        temp.write_bytes(contact_sheet(islice(pictures, _SHEET_IMAGES)))
    write_text(folder / CARD, "\n".join(lines) + "\n")


def _counted(connection: duckdb.DuckDBPyConnection, column: str, title: str, most: int) -> list[str]:
    if column not in columns_of(connection):
        return []
    query = f"SELECT {identifier(column)}::VARCHAR AS value, count(*) AS images FROM images GROUP BY ALL"
    rows: list[tuple[Any, int]] = connection.execute(f"{query} ORDER BY images DESC, value").fetchall()
    lines = [f"| {_cell(value)} | {images:,} |" for value, images in rows[:most]]
    rest = [f"| {len(rows) - most:,} more | {sum(images for _, images in rows[most:]):,} |"] if rows[most:] else []
    return [f"| {title} | images |", "|---|---:|", *lines, *rest, ""]


def _cell(value: object) -> str:
    """A value of the list in a table of Markdown, which may hold HTML, as text."""
    text = "(none)" if value is None else " ".join(str(value).splitlines())
    return escape(text, quote=False).replace("|", "&#124;")
