"""`lookup`: writes an index of all images by uuid, and extracts the images listed in `uuids` into files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_downloader.errors import DamagedFileError, UserError
from ray_downloader.image import ImageOptions
from ray_downloader.image.stored import StoredImage, reprocess
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.schemas import RAW
from ray_downloader.run_folder.small_tables import opened, reading
from ray_downloader.sql import file_list
from ray_downloader.tools.base import TOOLS, Tool
from ray_downloader.tools.builtin.shards import key_of
from ray_downloader.tools.context import stamp_of
from ray_downloader.tools.image_index import INDEX, ImageIndex
from ray_downloader.tools.queries import images_database, write_parquet

#: Rows are numbered within the file; its footer has the length of each row group.
_GROUPS = """
CREATE TEMP TABLE row_groups AS
SELECT file_name AS file, row_group_id AS row_group, first::BIGINT AS first FROM (
    SELECT file_name, row_group_id, sum(rows) OVER (PARTITION BY file_name ORDER BY row_group_id) - rows AS first
    FROM (SELECT DISTINCT file_name, row_group_id, row_group_num_rows AS rows FROM parquet_metadata({files})))
"""
_INDEX = """
SELECT uuid, substr(images.file, {prefix}) AS file, row_group::INTEGER AS row_group, (row - first)::INTEGER AS row
FROM images ASOF JOIN row_groups ON images.file = row_groups.file AND images.row >= row_groups.first
ORDER BY uuid, images.file, row
"""


@TOOLS.register("lookup")
class Lookup(Tool):
    """`index.parquet`, reused while the images stay the same, and `found/<uuid>.<format>`."""

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Write the index if it is out of date, then extract the images."""
        images = self._write_index()
        wanted = self.context.parameters.uuids
        index = ImageIndex(self.context.folder, self.context.layout.images)
        found = {uuid: self._extract(index, uuid) for uuid in wanted}
        missing = [uuid for uuid, path in found.items() if path is None]
        if missing:
            raise UserError(f"tools_parameters.uuids: this run has no image {', '.join(missing)}")
        return {"images": images, **found}

    def _write_index(self) -> int:
        batches = self.context.batches
        stamp = stamp_of(batches)
        marker = self.context.folder / f"{INDEX}.stamp"
        known = self._known_images(marker, stamp)
        if known is not None:
            return known
        with images_database(self.context.folder, batches) as connection:
            connection.execute(_GROUPS.format(files=file_list(batch.path for batch in batches)))
            prefix = len(str(self.context.layout.images)) + 2
            images = write_parquet(connection, _INDEX.format(prefix=prefix), self.context.folder / INDEX)
        with replacing(marker) as temp:
            temp.write_text(f"{stamp} {images}\n", "utf-8")
        return images

    def _known_images(self, marker: Path, stamp: str) -> int | None:
        """The number of images in an index of these files; None if there is none, or it is damaged."""
        path = self.context.folder / INDEX
        try:
            written, images = marker.read_text("utf-8").split()
            with reading(path), opened(path) as index:
                return int(images) if written == stamp and index.metadata.num_rows == int(images) else None
        except (FileNotFoundError, DamagedFileError, ValueError):
            return None

    def _extract(self, index: ImageIndex, uuid: str) -> str | None:
        row = index.get(uuid)
        if row is None:
            return None
        image, image_format = row["image"], row.get("image_format") or RAW
        if image_format == RAW:
            size = (row["resized_size"][0], row["resized_size"][1])
            made = reprocess(StoredImage(image, RAW, size), ImageOptions(encode="png", resize="none"))
            image, image_format = made.image, made.image_format
        path = self.context.folder / "found" / f"{key_of(uuid, row.get('identifier'))}.{image_format}"
        with replacing(path) as temp:
            temp.write_bytes(image)
        return str(path)
