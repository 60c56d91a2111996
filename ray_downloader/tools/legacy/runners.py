"""The last step of a three-class tool, which does the work. As many run at once as there are workers, each with a rank.

The batches that a runner has finished are recorded in `<tool>/verification/`, so a killed tool continues with the rest.
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
from ray_downloader.output.parquet import write_parquet
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import SUCCESSES, folder_name
from ray_downloader.tools.context import StoredBatch
from ray_downloader.tools.dropping import FILTER_TABLE, IMAGES
from ray_downloader.tools.legacy.register import ToolsBase, register
from ray_downloader.tools.legacy.schedulers import SCHEDULE
from ray_downloader.tools.legacy.tool_config import ToolConfig
from ray_downloader.tools.rows import CHUNK_ROWS, read_rows

if TYPE_CHECKING:
    import pandas as pd

#: Decorator that makes a class the runner of a tool: `@RunnerRegister("my_tool")`.
RunnerRegister = partial(register, "runner")

VERIFICATION = "verification"


class RunnerToolBase(ToolsBase):
    """A runner: number `rank` of `total_workers`."""

    def __init__(self, cfg: ToolConfig) -> None:
        super().__init__(cfg)
        #: The legacy project's name for `rank`; its tools may set it.
        self.mpi_rank = cfg.rank

    @property
    def rank(self) -> int:
        """Number of this runner, from 0."""
        return self.config.rank

    @property
    def tool_folder(self) -> Path:
        """Where the tool's results go."""
        return Path(self.tools_path, self.filter_name)


class BatchRunner(RunnerToolBase):
    """Processes the batches that the schedule assigns to this rank, one after the other, each once."""

    def run(self) -> None:
        """Process what is left, and record each batch when it is done.

        Raises:
            RuntimeError: Some batches failed. The others are done.
        """
        failed: list[str] = []
        for batch in self._left():
            try:
                self.process(batch)
            except Exception as error:  # one bad batch must not stop the others
                self.logger.exception("%s: %s/%s failed", self.filter_name, batch.server_name, batch.partition_id)
                failed.append(f"{batch.place}: {error!r}")
            else:
                self._note(batch)
        if failed:
            raise RuntimeError(f"{self.filter_name}: {len(failed)} batches failed, the first of them {failed[0]}")

    @abstractmethod
    def process(self, batch: StoredBatch) -> None:
        """Process one batch: read `batch.path`, write below `self.tool_folder / batch.place`."""

    def rows_of(self, batch: StoredBatch) -> pa.Table:
        """The rows of the filter table for one batch, all columns as text."""
        wanted = (batch.server_name, str(batch.partition_id))
        tables = (self.tool_folder / FILTER_TABLE).rglob("*.csv")
        rows = [row for path in sorted(tables) for row in read_rows(path) if _key(row) == wanted]
        return pa.Table.from_pylist(rows)

    def is_enough_time(self) -> None:
        """Raise if the Slurm job is about to end.

        Raises:
            TimeoutError: Less than `total_time` seconds are left (150 by default).
        """
        ends_at_s = os.environ.get("SLURM_JOB_END_TIME")
        if ends_at_s and time.time() > int(ends_at_s) - int(getattr(self, "total_time", None) or 150):
            raise TimeoutError("Not enough time")

    def _left(self) -> Iterator[StoredBatch]:
        done = {_key(row) for path in self._verification.glob("*.csv") for row in read_rows(path)}
        for row in read_rows(self.tool_folder / SCHEDULE):
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
    """The legacy project's base class: `apply_filter` gets the batch's rows of the filter table as a data frame.

    MPI is not involved: the ranks are Ray tasks.
    """

    def process(self, batch: StoredBatch) -> None:
        """Call `apply_filter`.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            frame = self.rows_of(batch).to_pandas()
        except ModuleNotFoundError:
            raise UserError("MPIRunnerTool.apply_filter takes pandas data frames: pip install pandas") from None
        self.apply_filter(frame, batch.server_name, str(batch.partition_id))

    @abstractmethod
    def apply_filter(self, filtering_df: pd.DataFrame, server_name: str, partition_id: str) -> int:
        """Process one batch."""


class FilterRunnerTool(BatchRunner):
    """Writes each batch without the rows whose uuid the filter listed; `apply=true` publishes the result."""

    def process(self, batch: StoredBatch) -> None:
        """Write `images/<batch>/successes.parquet`."""
        named = pa.array(self.rows_of(batch).column("uuid").to_pylist(), pa.string())
        target = self.tool_folder / IMAGES / batch.place / SUCCESSES
        with pq.ParquetFile(batch.path) as source, replacing(target) as temp:
            write_parquet(temp, source.schema_arrow, _without(source, named))


def _without(source: pq.ParquetFile, named: pa.Array) -> Iterator[pa.RecordBatch]:
    for rows in source.iter_batches(CHUNK_ROWS):
        yield rows.filter(pc.invert(pc.is_in(rows.column("uuid"), value_set=named)))


def _key(row: dict[str, str]) -> tuple[str, str]:
    return row["server_name"], row["partition_id"]
