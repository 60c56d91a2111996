"""`duplication_based`: lists images that were received byte for byte as another one, and which one that is.

One row of each group is kept: the first by full licence information, then by uuid, then by place. So two runs over the
same images agree, on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_downloader.tools.base import TOOLS
from ray_downloader.tools.dropping import DroppingTool
from ray_downloader.tools.queries import images_database, write_csv

_ORDER = "(NOT coalesce(is_license_full, false), uuid, server_name, partition_id, row)"

#: Only images whose hash occurs more than once are looked at more closely; most are unique.
_TABLES = f"""
CREATE TEMP TABLE repeated AS
SELECT hashsum_original FROM images WHERE hashsum_original IS NOT NULL GROUP BY 1 HAVING count(*) > 1;
CREATE TEMP TABLE copies AS
SELECT uuid, source_id, server_name, partition_id, row, hashsum_original, {_ORDER} AS place
FROM images SEMI JOIN repeated USING (hashsum_original);
CREATE TEMP TABLE mains AS
SELECT hashsum_original,
    arg_min({{'uuid': uuid, 'source_id': source_id, 'server': server_name, 'partition': partition_id, 'row': row}},
        place) AS main
FROM copies GROUP BY hashsum_original;
"""

_ROWS = """
SELECT uuid, source_id, server_name, partition_id, row, main.uuid AS uuid_main, main.source_id AS source_id_main,
    main.server AS server_name_main, main.partition AS partition_id_main, main.row AS row_main, hashsum_original
FROM copies JOIN mains USING (hashsum_original)
WHERE (server_name, partition_id, row) IS DISTINCT FROM (main.server, main.partition, main.row)
ORDER BY server_name, partition_id, row
"""


@TOOLS.register("duplication_based")
class DuplicationBased(DroppingTool):
    """Finds rows that repeat the `hashsum_original` of another one."""

    def name_rows(self) -> Mapping[str, Any]:
        """Compare the column `hashsum_original`."""
        with images_database(self.context.folder, self.context.batches) as connection:
            connection.execute(_TABLES)
            images = connection.execute("SELECT count(*) FROM images").fetchall()[0][0]
            groups = connection.execute("SELECT count(*) FROM mains").fetchall()[0][0]
            duplicates = write_csv(connection, _ROWS, self.rows_file)
        return {"images": images, "groups": groups, "duplicates": duplicates}
