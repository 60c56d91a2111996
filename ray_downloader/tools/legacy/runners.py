"""The last step of a custom tool: does the work. As many run at once as there are workers, each with a rank.

What a runner finished is noted in `<tool>/verification/`, so a killed tool continues with what is left.
"""

from __future__ import annotations

import csv
import os
import time
from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import SUCCESSES, folder_name
from ray_downloader.tools.context import StoredBatch
from ray_downloader.tools.dropping import FILTER_TABLE, IMAGES, write_images
from ray_downloader.tools.legacy.register import ToolsBase, register
from ray_downloader.tools.legacy.schedulers import SCHEDULE
from ray_downloader.tools.legacy.tool_config import ToolConfig

if TYPE_CHECKING:
    import pandas as pd

#: Makes a class the runner of the tool that is named: `@RunnerRegister("my_tool")`.
RunnerRegister = partial(register, "runner")

VERIFICATION = "verification"


class RunnerToolBase(ToolsBase):
    """A runner. `rank` says which of the `total_workers` runners this is."""

    def __init__(self, cfg: ToolConfig) -> None:
        super().__init__(cfg)
        #: `rank`, as the legacy project calls it; its tools may set it.
        self.mpi_rank = cfg.rank

    @property
    def rank(self) -> int:
        """From 0."""
        return self.config.rank

    @property
    def tool_folder(self) -> Path:
        """Where the tool's results go."""
        return Path(self.tools_path, self.filter_name)


class BatchRunner(RunnerToolBase):
    """Does the batches of the schedule that are this rank's, one after the other, each once."""

    def run(self) -> None:
        """Process what is left, and note each batch that is done.

        Raises:
            RuntimeError: Some batches failed; the others are done.
        """
        failed: list[str] = []
        for batch in self._left():
            try:
                self.process(batch)
            except Exception as error:  # the other batches are none the worse for it
                self.logger.exception("%s: %s/%s failed", self.filter_name, batch.server_name, batch.partition_id)
                failed.append(f"{batch.place}: {error!r}")
            else:
                self._note(batch)
        if failed:
            raise RuntimeError(f"{self.filter_name}: {len(failed)} batches failed, the first of them {failed[0]}")

    @abstractmethod
    def process(self, batch: StoredBatch) -> None:
        """Do one batch: read `batch.path`, write below `self.tool_folder / batch.place`."""

    def rows_of(self, batch: StoredBatch) -> pa.Table:
        """The rows of the filter table that belong to a batch, all columns as text."""
        wanted = (batch.server_name, str(batch.partition_id))
        tables = (self.tool_folder / FILTER_TABLE).rglob("*.csv")
        rows = [row for path in sorted(tables) for row in _rows(path) if _key(row) == wanted]
        return pa.Table.from_pylist(rows)

    def is_enough_time(self) -> None:
        """Raise where the Slurm job ends within the next minutes.

        Raises:
            TimeoutError: It does.
        """
        ends_at_s = os.environ.get("SLURM_JOB_END_TIME")
        if ends_at_s and time.time() > int(ends_at_s) - int(getattr(self, "total_time", None) or 150):
            raise TimeoutError("Not enough time")

    def _left(self) -> Iterator[StoredBatch]:
        done = {_key(row) for path in self._verification.glob("*.csv") for row in _rows(path)}
        for row in _rows(self.tool_folder / SCHEDULE):
            if int(row["rank"]) == self.rank and _key(row) not in done:
                yield self._batch(*_key(row))

    def _batch(self, server_name: str, partition_id: str) -> StoredBatch:
        folder = Path(self.downloaded_images_path, f"server_name={folder_name(server_name)}")
        path = folder / f"partition_id={partition_id}" / SUCCESSES
        return StoredBatch(server_name, int(partition_id), path)

    @property
    def _verification(self) -> Path:
        return self.tool_folder / VERIFICATION

    def _note(self, batch: StoredBatch) -> None:
        path = self._verification / f"{self.rank:04d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerows([("server_name", "partition_id")] if is_new else [])
            writer.writerow((batch.server_name, batch.partition_id))


class MPIRunnerTool(BatchRunner):
    """The legacy project's base class: `apply_filter` is given the batch's rows of the filter table as a data frame.

    No MPI takes part; the ranks are Ray tasks.
    """

    def process(self, batch: StoredBatch) -> None:
        """Call `apply_filter`.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            frame = self.rows_of(batch).to_pandas()
        except ModuleNotFoundError:
            raise UserError("MPIRunnerTool.apply_filter is given pandas data frames: pip install pandas") from None
        self.apply_filter(frame, batch.server_name, str(batch.partition_id))

    @abstractmethod
    def apply_filter(self, filtering_df: pd.DataFrame, server_name: str, partition_id: str) -> int:
        """Do one batch."""


class FilterRunnerTool(BatchRunner):
    """Writes each batch without the rows whose uuid the filter named; `apply=true` puts them in place."""

    def process(self, batch: StoredBatch) -> None:
        """Write `images/<batch>/successes.parquet`."""
        named = pa.array(self.rows_of(batch).column("uuid").to_pylist(), pa.string())
        target = self.tool_folder / IMAGES / batch.place / SUCCESSES
        with pq.ParquetFile(batch.path) as source, replacing(target) as temp:
            write_images(temp, source.schema_arrow, _without(source, named))


def _without(source: pq.ParquetFile, named: pa.Array) -> Iterator[pa.RecordBatch]:
    for rows in source.iter_batches(256):
        kept = rows.filter(pc.invert(pc.is_in(rows.column("uuid"), value_set=named)))
        if kept.num_rows:
            yield kept


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _key(row: dict[str, str]) -> tuple[str, str]:
    return row["server_name"], row["partition_id"]
