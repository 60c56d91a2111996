"""`attribution`: lists whom to credit for each image and under which licence, as CSV and, grouped, as Markdown.

Each image has one row with what CC BY requires: title, creator, source and licence (TASL). The creator comes from the
batches of the list, as the files with the images do not have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from ray_downloader.run_folder.atomic import write_text
from ray_downloader.sql import file_list
from ray_downloader.tools.base import TOOLS, Tool
from ray_downloader.tools.queries import columns_of, images_database, write_csv

#: Number of groups in the Markdown; the CSV has every image.
SHOWN_GROUPS = 1000

_ROWS = """
SELECT images.uuid, images.source_id, images.identifier, images.title, creators.creator, images.source, images.license,
    images.is_license_full
FROM images LEFT JOIN creators USING (uuid, identifier) ORDER BY images.license, creators.creator, images.uuid
"""
_GROUPS = f"""
SELECT license, creator, source, count(*) AS images FROM ({_ROWS}) GROUP BY ALL
ORDER BY images DESC, license, creator, source
LIMIT {SHOWN_GROUPS}
"""


@TOOLS.register("attribution")
class Attribution(Tool):
    """`attribution.csv`, one row per image, and `ATTRIBUTION.md`, one line per licence, creator and source."""

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Write both files."""
        folder = self.context.folder
        with images_database(folder, self.context.batches) as connection:
            _creators(connection, sorted(self.context.layout.urls.glob("rows-*.parquet")))
            images = write_csv(connection, _ROWS, folder / "attribution.csv")
            groups = connection.execute(_GROUPS).fetchall()
            (unlicensed,) = connection.execute("SELECT count(*) FROM images WHERE license IS NULL").fetchall()[0]
        write_text(folder / "ATTRIBUTION.md", _markdown(groups, images))
        return {"images": images, "without_license": unlicensed}


def _creators(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> None:
    """Create the table `creators`, empty if the list is gone or has no such column."""
    connection.execute("CREATE TEMP TABLE creators (uuid VARCHAR, identifier VARCHAR, creator VARCHAR)")
    if not files:
        return
    connection.execute(f"CREATE TEMP VIEW listed AS SELECT * FROM read_parquet({file_list(files)}, union_by_name=true)")
    if "creator" in columns_of(connection, "listed"):
        connection.execute(
            "INSERT INTO creators SELECT uuid, identifier, any_value(creator) FROM listed"
            " WHERE creator IS NOT NULL GROUP BY uuid, identifier"
        )


def _markdown(groups: list[tuple[Any, ...]], images: int) -> str:
    lines = ["# Attribution", "", f"{images} images; attribution.csv has a row for each.", ""]
    lines += ["| licence | creator | source | images |", "|---|---|---|---:|"]
    for *texts, rows in groups:
        cells = [str(text or "").replace("|", "&#124;").replace("\n", " ") for text in texts]
        lines.append(f"| {' | '.join(cells)} | {rows} |")
    if len(groups) == SHOWN_GROUPS:
        lines.append("| ... | | | |")
    return "\n".join(lines) + "\n"
