"""The first step of a three-class tool: lists what is to be done, as CSV files in `<tool>/filter_table/`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ray_downloader.tools.context import StoredBatch, finished_batches
from ray_downloader.tools.dropping import FILTER_TABLE
from ray_downloader.tools.legacy.register import ToolsBase, register
from ray_downloader.tools.rows import write_rows

#: Decorator that makes a class the filter of a tool: `@FilterRegister("my_tool")`.
FilterRegister = partial(register, "filter")


class FilterToolBase(ToolsBase):
    """A filter; its `run` writes CSV files with the columns `server_name` and `partition_id`, and more where needed."""

    @property
    def filter_table_folder(self) -> Path:
        """Where the CSV files go."""
        return Path(self.tools_path, self.filter_name, FILTER_TABLE)

    def finished_batches(self) -> list[StoredBatch]:
        """All finished batches that hold images."""
        return finished_batches(Path(self.downloaded_images_path))


class PythonFilterToolBase(FilterToolBase):
    """Lists every finished batch."""

    def run(self) -> None:
        """Write `table.csv`."""
        rows = [(batch.server_name, batch.partition_id) for batch in self.finished_batches()]
        write_rows(self.filter_table_folder / "table.csv", ("server_name", "partition_id"), rows)


class SqlFilterToolBase(FilterToolBase):
    """Lists the rows that an SQL query selects; the image column is never read.

    The query reads from `images`: the columns of `successes.parquet`, and `server_name`, `partition_id`, `file`, `row`.
    """

    query = "SELECT uuid, source_id, server_name, partition_id FROM images"

    def run(self) -> None:
        """Write `table.csv` with the rows of `query`."""
        from ray_downloader.tools.queries import images_database, write_csv  # noqa: PLC0415 (loads DuckDB)

        with images_database(self.filter_table_folder.parent, self.finished_batches()) as connection:
            rows = write_csv(connection, self.query, self.filter_table_folder / "table.csv")
        self.logger.info("%s: %d rows", self.filter_name, rows)
