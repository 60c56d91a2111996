"""One worker in virtual time: real budgets, batches and pictures; only the network and the clock are scripted."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from ray_downloader import image
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import FakeClock, FakeFetcher, Reply
from ray_downloader.partition.batches import load_batches
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.run_folder.base_runs import stored_columns
from ray_downloader.run_folder.layout import ERRORS
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.budgets import Budgets
from ray_downloader.worker.loop import Worker
from ray_downloader.worker.ports import Ports, SliceReport, TimeSlice
from ray_downloader.worker.request_policy import RequestPolicy
from ray_downloader.worker.robots_gate import RobotsGate
from ray_downloader.worker.robots_store import RobotsStore
from tests.support.local_budgets import LocalBudgets
from tests.support.no_robots import NoRobotsTxt
from tests.support.partitioned import partitioned_run

POLITE = {"robots": "ignore", "max_rate_limit": 50.0}


@cache
def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(file, "JPEG")
    return file.getvalue()


def found(_: FetchRequest) -> Reply:
    return Reply(body=picture(), headers={"content-length": str(len(picture()))}, after_s=0.05)


@dataclass
class Run:
    """One or more slices over one list."""

    folder: Path
    urls: list[str]
    script: Callable[[FetchRequest], Reply] = found
    groups: dict[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    process: Callable[..., Any] | None = None
    asks_for_robots: bool = False

    def __post_init__(self) -> None:
        groups = {"politeness": POLITE, **self.groups}
        self.settings, self.layout = partitioned_run(self.folder, self.urls, **groups)
        self.clock = FakeClock()
        policies = PolicyBook(self.settings.politeness, self.settings.downloader_parameters, {})
        self.policy = RequestPolicy(self.settings, policies, self.ignored)
        self.host = Budgets(policies, clock=self.clock, rng=random.Random(1))
        self.fetcher = FakeFetcher(self.script, self.clock)
        self.work = [WorkItem(batch, batch.rows) for batch in load_batches(self.layout)]

    def slice(self, seconds: float = 3600.0, holder: str = "task") -> SliceReport:
        report = self.worker(seconds, holder).run()
        self.work = report.unfinished
        return report

    def worker(self, seconds: float = 3600.0, holder: str = "task") -> Worker:
        options = image.ImageOptions.of(self.settings)

        def process(body: bytes, is_complete: bool, is_suspect: bool) -> image.ProcessedImage:
            return image.process(body, options, complete=is_complete, isolated=is_suspect)

        ports = Ports(
            self.fetcher, LocalBudgets(self.host), self.process or process, self.clock, lambda: 1.8e9 + self.clock(),
            random.Random(2),
        )  # fmt: skip
        batch_options = BatchOptions(extra_columns=stored_columns(self.settings))
        batches = [BatchWork(self.layout, item, holder, batch_options) for item in self.work]
        is_strict = self.settings.politeness.opt_out == "strict"
        mode = self.settings.politeness.robots
        # Most scripts are about something else: under `ignore` it is known that no server has a robots.txt.
        store = (NoRobotsTxt if mode == "ignore" and not self.asks_for_robots else RobotsStore)(
            self.layout.robots, 1.8e9
        )
        robots = RobotsGate(mode, store, is_strict=is_strict)
        return Worker(batches, self.policy, robots, ports, TimeSlice(holder, seconds))

    def asked(self) -> Counter[str]:
        return Counter(request.url for _, request in self.fetcher.started)

    def read(self, name: str, column: str) -> list[Any]:
        files = sorted(self.layout.images.glob(f"*/*/{name}"))
        return [value for file in files for value in pq.read_table(file, columns=[column])[column].to_pylist()]

    def kinds(self) -> Counter[str]:
        return Counter(self.read(ERRORS, "error_kind"))
