"""A time slice as a task does it, without Ray, network and decoder process: from its input to its report."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.cluster import slices
from ray_downloader.cluster.placement import Directory
from ray_downloader.cluster.slices import Slice, body_bytes, work_slice
from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import Fetcher
from ray_downloader.fetch.fake import FakeClock, FakeFetcher, Reply
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.partition.batches import load_batches
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.budgets import Budgets
from ray_downloader.worker.ports import SliceReport, TimeSlice
from tests.support.local_budgets import LocalBudgets
from tests.support.partitioned import partitioned_run
from tests.support.stored import received


class Flushed(LocalBudgets):
    """Budgets in this process, and whether the slice waited for its last messages."""

    waited_s: Sequence[float] = ()

    def flush(self, timeout_s: float) -> None:
        self.waited_s = [*self.waited_s, timeout_s]


class Task:
    """One task, with budgets and a fetcher of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, **groups: Any) -> None:
        urls = [f"http://a.example/{number}.jpg" for number in range(12)]
        unlimited = {
            "politeness": {"robots": "ignore", "adaptive": False, "max_rate_limit": 1e4},
            "downloader_parameters": {"default_rate_limit": 1e4},
        }
        self.settings, self.layout = partitioned_run(folder, urls, **{**unlimited, **groups})
        policies = PolicyBook(self.settings.politeness, self.settings.downloader_parameters, {})
        self.budgets = Flushed(Budgets(policies, rng=random.Random(1)))
        self.fetcher = FakeFetcher(lambda _: reply, FakeClock())
        self.made: list[tuple[NetworkSettings, str, int, BodyRoom | None]] = []
        monkeypatch.setattr(slices, "RayBudgets", lambda _directory: self.budgets)
        monkeypatch.setattr(slices, "log_to_file", lambda *_: None)
        monkeypatch.setattr(slices.FETCHERS, "get", lambda _name: self._make)
        monkeypatch.setattr(slices.pa, "set_cpu_count", lambda _: None)

    def _make(
        self, network: NetworkSettings, user_agent: str, max_host_connections: int, room: BodyRoom | None = None
    ) -> Fetcher:
        self.made.append((network, user_agent, max_host_connections, room))
        return self.fetcher

    def work(self, seconds: float = 60.0, **secrets: str) -> SliceReport:
        (batch,) = load_batches(self.layout)
        items = [WorkItem(batch, batch.rows)]
        report: SliceReport = work_slice._function(
            Slice(self.layout.settings_file, Directory({}, ()), items, TimeSlice("holder", seconds), secrets)
        )
        return report


def is_published(layout: RunLayout) -> bool:
    (batch,) = load_batches(layout)
    return (layout.batch_folder(batch.server_name, batch.partition_id) / "_completed").exists()


def test_a_slice_settles_its_rows_publishes_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = received(1)
    task = Task(tmp_path, monkeypatch, Reply(body=body, headers={"content-length": str(len(body))}))
    monkeypatch.delenv("A_TOKEN", raising=False)
    report = task.work(A_TOKEN="from the driver")
    ((_, counts),) = report.finished
    assert dict(counts.by_kind) == {"success": 12}
    assert (report.unfinished, report.requests) == ([], 1 + 12), "robots.txt, and each row"
    assert is_published(task.layout)
    assert os.environ.pop("A_TOKEN") == "from the driver"
    ((network, agent, connections, room),) = task.made
    assert network == task.settings.network
    assert agent.startswith("ray_downloader/")
    assert connections == 256
    assert room is not None
    assert room.memory_bytes == body_bytes(task.settings.cluster.worker_memory_mb)
    assert task.fetcher.is_closed
    assert task.budgets.waited_s == [2.0]


def test_errors_end_rows_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(tmp_path, monkeypatch, Reply(ErrorKind.HTTP_4XX, 404))
    ((_, counts),) = task.work().finished
    assert dict(counts.by_kind) == {"http_4xx": 12}


def test_a_slice_without_time_gives_its_rows_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(tmp_path, monkeypatch, Reply(ErrorKind.HTTP_4XX, 404))
    report = task.work(seconds=1e-9)
    assert report.finished == []
    (item,) = report.unfinished
    assert item.left == 12
    assert not is_published(task.layout)


def test_secrets_of_a_slice_are_not_shown() -> None:
    work = Slice(Path("settings.json"), Directory({}, ()), [], TimeSlice("holder", 60.0), {"MY_TOKEN": "s3cret"})
    assert "s3cret" not in repr(work)


@pytest.mark.parametrize(("worker_mb", "bodies_mb"), [(1024, 688), (352, 16), (353, 17), (300, 16)])
def test_bodies_get_what_a_worker_does_not_need_itself(worker_mb: int, bodies_mb: int) -> None:
    assert body_bytes(worker_mb) == bodies_mb * 2**20


def test_warming_up_needs_nothing() -> None:
    assert work_slice._function(None) is None
