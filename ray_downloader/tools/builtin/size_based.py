"""`size_based`: lists images whose shorter side, as received, is below `threshold_size`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_downloader.tools.base import TOOLS
from ray_downloader.tools.dropping import DroppingTool
from ray_downloader.tools.queries import images_database, write_csv


@TOOLS.register("size_based")
class SizeBased(DroppingTool):
    """Finds rows with a side below the threshold."""

    def name_rows(self) -> Mapping[str, Any]:
        """Compare the column `original_size`."""
        threshold = self.context.parameters.threshold_size
        query = f"""
            SELECT uuid, source_id, server_name, partition_id, row,
                original_size[1] AS height, original_size[2] AS width
            FROM images WHERE list_min(original_size) < {threshold} ORDER BY server_name, partition_id, row
        """
        with images_database(self.context.folder, self.context.batches) as connection:
            images = connection.execute("SELECT count(*) FROM images").fetchall()[0][0]
            small = write_csv(connection, query, self.rows_file)
        return {"threshold_size": threshold, "images": images, "too_small": small}
