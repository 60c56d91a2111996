"""Finds one image by its uuid, in a table sorted by uuid that has the file, row group and row of each image.

A lookup reads one row group of the table and one of the file, so it takes as long among 10^8 images as among 10^3.
`tool=lookup` writes the table; any Python program can use this class.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.run_folder.small_tables import reading

INDEX = "index.parquet"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image is: a file, one of its row groups, and the row in that group."""

    file: Path
    row_group: int
    row: int


class ImageIndex:
    """The images of a run, by uuid.

    Args:
        folder: The tool's folder, `<run>/tools/lookup`.
        images: The images of the run.

    Raises:
        UserError: The tool has not run.
        DamagedFileError: The table is damaged; the tool writes it anew.
    """

    def __init__(self, folder: Path, images: Path) -> None:
        path = folder / INDEX
        if not path.exists():
            raise UserError(f"{path} does not exist; run tool=lookup first")
        self._images = images
        with reading(path):
            self._table = pq.ParquetFile(path)
        self._column = self._table.schema_arrow.get_field_index("uuid")

    def find(self, uuid: str) -> Place | None:
        """Where an image is; None if the run has no image with this uuid."""
        for group in range(self._table.num_row_groups):
            limits = self._table.metadata.row_group(group).column(self._column).statistics
            if limits is None or not limits.has_min_max or limits.min <= uuid <= limits.max:
                table = self._table.read_row_group(group)
                # Not `pyarrow.compute.index`, which loads pandas if it is installed: 0.2 s.
                uuids = table.column("uuid").to_pylist()
                index = bisect_left(uuids, uuid)
                if index < len(uuids) and uuids[index] == uuid:
                    row = table.slice(index, 1).to_pylist()[0]
                    return Place(self._images / row["file"], row["row_group"], row["row"])
        return None

    def get(self, uuid: str) -> dict[str, Any] | None:
        """The row of an image, with its bytes in `image`; None if the run has no image with this uuid.

        Raises:
            UserError: The files changed after they were indexed.
        """
        place = self.find(uuid)
        if place is None:
            return None
        with pq.ParquetFile(place.file) as file:
            row: dict[str, Any] = file.read_row_group(place.row_group).slice(place.row, 1).to_pylist()[0]
        if row["uuid"] != uuid:
            raise UserError(f"{place.file} changed after it was indexed; run tool=lookup again")
        return row
