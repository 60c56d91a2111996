"""The second step of a custom tool: deals the batches that the filter named to the runners."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

from ray_downloader.tools.dropping import FILTER_TABLE
from ray_downloader.tools.gathering import write_part
from ray_downloader.tools.legacy.register import ToolsBase, register

#: Makes a class the scheduler of the tool that is named: `@SchedulerRegister("my_tool")`.
SchedulerRegister = partial(register, "scheduler")

SCHEDULE = "schedule.csv"


class SchedulerToolBase(ToolsBase):
    """A scheduler; its `run` writes `<tool>/schedule.csv` with the columns of `scheme` and `rank`."""


class DefaultScheduler(SchedulerToolBase):
    """Deals what is distinct in `scheme` to the runners in turn."""

    scheme: list[str] = ["server_name", "partition_id"]  # noqa: RUF012 (older tools assign a list to it)

    def run(self) -> None:
        """Write `schedule.csv`."""
        folder = Path(self.tools_path, self.filter_name)
        keys: dict[tuple[str, ...], None] = {}
        for path in sorted((folder / FILTER_TABLE).rglob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                keys.update(dict.fromkeys(tuple(row[name] for name in self.scheme) for row in csv.DictReader(file)))
        rows = [(*key, index % self.total_workers) for index, key in enumerate(keys)]
        write_part(folder / SCHEDULE, (*self.scheme, "rank"), rows)
