"""The download stage around its driver: what is left, how Ray's start is waited for, and a Ray that is lost."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.exceptions import NodeDiedError, WorkerCrashedError
from rich.console import Console

from ray_downloader.cluster import stage
from ray_downloader.cluster.driver import DownloadResult
from ray_downloader.cluster.ports import SliceLost
from ray_downloader.cluster.stage import download
from ray_downloader.config.settings import ClusterSettings, Settings
from ray_downloader.errors import ErrorKind, RayLostError, StartError, UserError
from ray_downloader.monitor.run_report import RunReport
from ray_downloader.partition.batches import load_batches
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.schedule.run_status import scan
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.request_policy import Failure
from tests.support.driven import DrivenRun, finishing, work_items
from tests.support.partitioned import partitioned_run

#: 20 of one server and 10 of another.
URLS = [f"http://{'a' if number % 3 else 'b'}.example/{number}.jpg" for number in range(30)]
GONE = Failure(ErrorKind.HTTP_4XX, "gone", 404).record(0, datetime(2026, 1, 1, tzinfo=timezone.utc))


@dataclass(frozen=True)
class Run:
    """A run folder whose list is partitioned."""

    settings: Settings
    layout: RunLayout

    def settle(self, server: str, rows: int) -> None:
        """End that many rows of a server; the batch is published if none is left."""
        (batch,) = (one for one in load_batches(self.layout) if one.server_name == server)
        work = BatchWork(self.layout, WorkItem(batch, batch.rows), "task", BatchOptions())
        for row in list(work.next_rows())[:rows]:
            work.settle_error(row, GONE)
        if work.left:
            work.give_back(0.0, 0.0, 0.0)
        else:
            work.publish()

    def download(self) -> DownloadResult:
        report = RunReport(self.layout.progress_file, {})
        return download(self.settings, self.layout, Console(file=io.StringIO()), report, lambda _: None)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(*partitioned_run(tmp_path, URLS))


def test_rows_are_left_by_server_and_servers_without_any_are_not_counted(run: Run) -> None:
    def left() -> dict[str, int]:
        return stage._rows_by_server(run.layout, scan(run.layout, load_batches(run.layout)))

    assert left() == {"a.example": 20, "b.example": 10}
    run.settle("a.example", 7)
    run.settle("b.example", 10)
    assert left() == {"a.example": 13}


def test_ray_is_not_started_if_nothing_is_left(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "running_cluster", lambda *_: pytest.fail("there is nothing to do"))
    run.settle("a.example", 20)
    run.settle("b.example", 10)
    assert run.download() == DownloadResult()


def test_an_unknown_fetcher_is_a_mistake_before_anything_starts(run: Run) -> None:
    fetcher = run.settings.fetcher.model_copy(update={"name": "carrier pigeon"})
    other = Run(run.settings.model_copy(update={"fetcher": fetcher}), run.layout)
    with pytest.raises(UserError, match="carrier pigeon"):
        other.download()


@pytest.mark.parametrize(
    ("ends", "tries", "is_stopped", "said"),
    [
        ([RayLostError("it died")], 2, False, "it died; Ray is started once more"),
        ([RayLostError("it died"), RayLostError("again")], 2, True, "again; the run stops, and the same command"),
        ([RayLostError("it died"), StartError("no room")], 2, True, "no room; the run stops, and the same command"),
        ([stage._LostWhileDrainingError("it died")], 1, True, "it died while the run drained"),
        ([], 1, False, ""),
    ],
    ids=["lost once", "lost twice", "not started again", "lost while draining", "not lost"],
)
def test_a_lost_ray_is_started_once_more(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    ends: list[Exception], tries: int, is_stopped: bool, said: str,
) -> None:  # fmt: skip
    tried: list[object] = []

    def once(context: object, *_others: object) -> DownloadResult:
        tried.append(context)
        if len(tried) <= len(ends):
            raise ends[len(tried) - 1]
        return DownloadResult()

    monkeypatch.setattr(stage, "_download_on_ray", once)
    assert run.download().is_stopped is is_stopped
    assert len(tried) == tries
    assert said in caplog.text


def test_a_ray_that_never_started_is_an_error_with_its_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> DownloadResult:
        raise StartError("no room")

    monkeypatch.setattr(stage, "_download_on_ray", never)
    with pytest.raises(StartError, match="no room"):
        run.download()


@dataclass
class Starting:
    """Calls of which some are answered after so many seconds; None: never."""

    after_s: dict[str, float | None]
    faults: dict[str, Exception] = field(default_factory=dict)
    now_s: float = 0.0

    def wait(self, calls: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        assert num_returns == len(calls)
        self.now_s += timeout
        done = [call for call in calls if (at_s := self.after_s[call]) is not None and at_s <= self.now_s]
        return done, [call for call in calls if call not in done]

    def get(self, call: str) -> None:
        if call in self.faults:
            raise self.faults[call]


AwaitStart = Callable[..., int]


@pytest.fixture
def await_start(monkeypatch: pytest.MonkeyPatch) -> AwaitStart:
    """Waits for the start of calls; returns how often it was checked that Ray runs."""

    def act(starting: Starting, name: str = "local") -> int:
        monkeypatch.setattr(stage, "ray", starting)
        monkeypatch.setattr(stage, "time", SimpleNamespace(monotonic=lambda: starting.now_s))
        checks: list[float] = []
        options = ClusterSettings.model_validate({"name": name, "start_timeout_s": 10.0})
        stage._await_start(list(starting.after_s), options, lambda: checks.append(starting.now_s))  # type: ignore[arg-type]  # handles
        return len(checks)

    return act


def test_what_has_started_is_not_waited_for(await_start: AwaitStart) -> None:
    assert await_start(Starting({"a": 0.0, "b": 0.0})) == 0


def test_while_something_starts_it_is_checked_that_ray_runs(await_start: AwaitStart) -> None:
    starting = Starting({"a": 0.0, "b": 4.0})
    assert await_start(starting) == 4
    assert starting.now_s == 4.0


def test_what_does_not_start_in_time_is_an_error_of_our_own_ray_only(
    await_start: AwaitStart, caplog: pytest.LogCaptureFixture
) -> None:
    late = {"a": 0.0, "b": None, "c": None}
    with pytest.raises(StartError, match=r"2 of 3 actors and tasks did not start within 10 s"):
        await_start(Starting(late))
    assert await_start(Starting(late), name="existing") == 10
    assert "2 of 3 actors and tasks did not start within 10 s" in caplog.text
    assert "this run uses what becomes free" in caplog.text


@pytest.mark.parametrize("fault", [NodeDiedError("a node died\nmore"), WorkerCrashedError()], ids=["node", "worker"])
def test_what_is_lost_while_ray_starts_is_told_and_ends_nothing(
    await_start: AwaitStart, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    await_start(Starting({"a": 0.0, "b": 0.0}, {"a": fault}))
    assert "a node or process was lost while Ray started" in caplog.text
    assert caplog.text.count("\n") == 1, "in one line"
    with pytest.raises(KeyError):
        await_start(Starting({"a": 0.0}, {"a": KeyError("a fault of ours")}))


def lose_ray_at(run: DrivenRun, at_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = run.pool.wait

    def wait_or_lose(timeout_s: float) -> list[tuple[Hashable, SliceReport | SliceLost]]:
        ended = wait(timeout_s)
        if run.clock() >= at_s:
            raise RayLostError("Ray died: its raylet was killed by SIGTERM")
        return ended

    monkeypatch.setattr(run.pool, "wait", wait_or_lose)


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_whether_somebody_asked_for_the_end_of_a_run_that_loses_ray_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_asked_for: bool
) -> None:
    run = DrivenRun(tmp_path, finishing(after_s=100.0))
    if is_asked_for:
        run.clock.at(25.0, lambda: run.driver.stop("SIGTERM"))
    lose_ray_at(run, 26.0, monkeypatch)
    with pytest.raises(RayLostError, match="its raylet was killed by SIGTERM") as loss:
        stage._result_of(run.driver, work_items("a.example", 4, 100))
    assert isinstance(loss.value, stage._LostWhileDrainingError) is is_asked_for
