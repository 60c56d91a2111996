"""`merge_base`: lists images that an earlier collection already has, by the bytes received or by their URL.

`base` is a run folder (ours or the legacy project's) or parquet files with the column that is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import Any

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.machine import with_home
from ray_downloader.output.stored_file import end_problem
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.sql import file_list
from ray_downloader.tools.base import TOOLS
from ray_downloader.tools.context import finished_batches
from ray_downloader.tools.dropping import DroppingTool
from ray_downloader.tools.queries import columns_of, images_database, write_csv

_COLUMNS = {"hash": "hashsum_original", "url": "identifier"}


@TOOLS.register("merge_base")
class MergeBase(DroppingTool):
    """Finds rows that the base has."""

    def name_rows(self) -> Mapping[str, Any]:
        """Compare the column that `tools_parameters.match` selects.

        Raises:
            UserError: There is no base, or it lacks the column.
        """
        column = _COLUMNS[self.context.parameters.match]
        files = self._base_files()
        with images_database(self.context.folder, self.context.batches) as connection:
            connection.execute(
                f"CREATE TEMP VIEW given_base AS SELECT * FROM read_parquet({file_list(files)}, union_by_name=true)"
            )
            there = columns_of(connection, "given_base")
            if column not in there:
                raise UserError(f"tools_parameters.base: {files[0]} has no column {column!r}")
            uuid = "uuid" if "uuid" in there else "NULL"
            connection.execute(
                f"CREATE TEMP TABLE base AS SELECT {column}, min({uuid}) AS uuid_base FROM given_base"
                f" WHERE {column} IS NOT NULL GROUP BY {column}"
            )
            rows = write_csv(connection, _rows_sql(column), self.rows_file)
        return {"match": self.context.parameters.match, "base_files": len(files), "in_base_already": rows}

    def _base_files(self) -> list[Path]:
        base = self.context.parameters.base
        if not base:
            raise UserError(
                "tools_parameters.base is required: a run folder, or parquet files of the images that you already have"
            )
        path = with_home(base)
        files = _files_of_run(path) if path.is_dir() else [Path(name) for name in sorted(glob(str(path)))]  # noqa: PTH207
        if not files:
            raise UserError(
                f"tools_parameters.base={base} holds no images: it is not a run folder, and no parquet file matches it"
            )
        problem = next(filter(None, map(end_problem, files)), None)
        if problem:
            raise UserError(f"tools_parameters.base={base}: {problem}, or it is not a parquet file")
        return files


def _files_of_run(root: Path) -> list[Path]:
    """The images of a run folder, or all parquet files of any other folder."""
    settings_file = root / "settings.json"
    images = RunLayout(root, Settings.load(settings_file).output_structure).images if settings_file.exists() else None
    for folder in filter(None, (images, root / "images", root / "downloaded_images")):
        if batches := finished_batches(folder):
            return [batch.path for batch in batches]
    return sorted(root.rglob("*.parquet"))


def _rows_sql(column: str) -> str:
    return f"""
        SELECT uuid, source_id, server_name, partition_id, row, uuid_base, {column}
        FROM images JOIN base USING ({column}) ORDER BY server_name, partition_id, row
    """
