"""The second step of a three-class tool: assigns the batches that the filter listed to the runners."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ray_downloader.tools.dropping import FILTER_TABLE
from ray_downloader.tools.legacy.register import ToolsBase, register
from ray_downloader.tools.rows import read_rows, write_rows

#: Decorator that makes a class the scheduler of a tool: `@SchedulerRegister("my_tool")`.
SchedulerRegister = partial(register, "scheduler")

SCHEDULE = "schedule.csv"


class SchedulerToolBase(ToolsBase):
    """A scheduler; its `run` writes `<tool>/schedule.csv` with the columns of `scheme` and `rank`."""


class DefaultScheduler(SchedulerToolBase):
    """Assigns the distinct values of `scheme` to the runners in turn."""

    scheme: list[str] = ["server_name", "partition_id"]  # noqa: RUF012 (legacy tools assign a list to it)

    def run(self) -> None:
        """Write `schedule.csv`."""
        folder = Path(self.tools_path, self.filter_name)
        keys: dict[tuple[str, ...], None] = {}
        for path in sorted((folder / FILTER_TABLE).rglob("*.csv")):
            keys.update(dict.fromkeys(tuple(row[name] for name in self.scheme) for row in read_rows(path)))
        rows = [(*key, index % self.total_workers) for index, key in enumerate(keys)]
        write_rows(folder / SCHEDULE, (*self.scheme, "rank"), rows)
