"""What becomes of a task of Ray: its report, or how its loss is told. Ray's client is replaced: nothing is started."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import NodeDiedError, RayError, RayTaskError, WorkerCrashedError

from ray_downloader.cluster import slice_pool, slices, stage
from ray_downloader.cluster.connect import Cluster
from ray_downloader.cluster.head_watch import HeadWatch
from ray_downloader.cluster.placement import Directory
from ray_downloader.cluster.ports import SliceLost
from ray_downloader.cluster.slice_pool import FURTHER, MOST_NAMES, SILENT_INTERVAL_S, RaySlicePool
from ray_downloader.cluster.slices import Slice
from ray_downloader.config.settings import Settings
from ray_downloader.errors import DamagedFileError, MachineError, RayLostError, RunFolderError
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.ports import SliceReport
from ray_downloader.worker.run_context import RunContext

LOST = "Task failed because the node it was running on is dead or unavailable"
NODE_DIED = NodeDiedError(f"{LOST}. Node IP: 10.0.0.3, node ID: ab12. This can happen if ...\nmore")


def item(server: str, partition_id: int) -> WorkItem:
    return WorkItem(Batch(0, server, partition_id, "part.parquet", 0, 10, 1), 10)


@dataclass
class FakeRay:
    """Ray as the pool uses it: a task ends with what `ends` says of it, at once.

    Args:
        nodes_alive: Whether each node is alive; the first one is this machine.
        fault: What Ray raises when it is asked about its nodes.
    """

    ends: dict[str, object] = field(default_factory=dict)
    nodes_alive: Sequence[bool] = (True, True)
    fault: Exception | None = None
    options_of_tasks: list[dict[str, Any]] = field(default_factory=list)
    slices: list[Any] = field(default_factory=list)

    def options(self, **options: Any) -> SimpleNamespace:
        self.options_of_tasks.append(options)
        return SimpleNamespace(remote=self._start)

    def _start(self, work: Slice | None) -> str:
        self.slices.append(work)
        return f"task {len(self.slices)}"

    def wait(self, handles: list[str], timeout: float) -> tuple[list[str], list[str]]:
        assert timeout == 0.5
        return [one for one in handles if one in self.ends], [one for one in handles if one not in self.ends]

    def get(self, handle: str) -> object:
        end = self.ends[handle]
        if isinstance(end, Exception):
            raise end
        return end

    def nodes(self) -> list[dict[str, object]]:
        if self.fault is not None:
            raise self.fault
        return [{"NodeID": f"node {number}", "Alive": alive} for number, alive in enumerate(self.nodes_alive)]

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(get_node_id=lambda: "node 0")


@dataclass
class Pooled:
    """A pool on a fake Ray, whose head can be silenced, and a clock that sleeping moves."""

    root: Path
    ray: FakeRay = field(default_factory=FakeRay)
    head_listens: bool = True
    end_of_ray: str = ""
    now_s: float = 0.0
    settings: Settings = field(init=False)
    pool: RaySlicePool = field(init=False)

    def __post_init__(self) -> None:
        options = {"path_to_input": "list.txt", "path_to_output": self.root}
        self.settings = Settings.from_config(options | {"downloader_parameters": {"cpu_per_worker": 2}})
        context = RunContext(self.settings, RunLayout.of(self.settings))
        head = HeadWatch(lambda: self.head_listens, lambda: self.now_s)
        cluster = Cluster(
            2, 3, 2, 1000, None, "name", head, require_running=self.require_running, hostnames={"10.0.0.3": "node3"}
        )
        self.pool = RaySlicePool(context, Directory({}, ("actor",)), cluster)

    def require_running(self) -> None:
        if self.end_of_ray:
            raise RayLostError(self.end_of_ray)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def end(self, end: object) -> SliceReport | SliceLost:
        """Submit a slice that ends so; returns what the pool reports of it."""
        handle = self.pool.submit([item("a.org", 1)], 60.0)
        self.ray.ends = {str(handle): end}
        ((reported, result),) = self.pool.wait(0.5)
        assert reported == handle
        return result


@pytest.fixture
def pooled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pooled:
    pooled = Pooled(tmp_path)
    monkeypatch.setattr(slice_pool, "ray", pooled.ray)
    monkeypatch.setattr(slices, "work_slice", pooled.ray)
    monkeypatch.setattr(slice_pool.time, "sleep", pooled.sleep)
    return pooled


def test_a_slice_is_a_task_with_a_name_and_a_holder_of_its_own(pooled: Pooled) -> None:
    items = [item("a.org", 4), item("b.org", 1), item("a.org", 2), item("c.org", 1)]
    assert pooled.pool.submit(items, 60.0) != pooled.pool.submit([item("a.org", 1)], 60.0)
    first, second = pooled.ray.slices
    assert (first.items, first.directory.shared) == (items, ("actor",))
    assert first.settings_file == pooled.root / "settings.json"
    assert first.time_slice.holder != second.time_slice.holder
    assert pooled.ray.options_of_tasks[0]["num_cpus"] == 2
    names = [options["name"] for options in pooled.ray.options_of_tasks]
    assert names == ["a.org 2-4 and 2 more servers", "a.org 1"]


def test_ray_which_forgets_no_name_of_a_task_is_given_few(pooled: Pooled) -> None:
    for number in range(2 * MOST_NAMES):
        pooled.pool.submit([item("a.org", number)], 60.0)
    pooled.pool.submit([item("a.org", 0)], 60.0)
    names = [options["name"] for options in pooled.ray.options_of_tasks]
    assert len(set(names)) == MOST_NAMES + 1
    assert names[MOST_NAMES:] == [*[FURTHER] * MOST_NAMES, "a.org 0"]


def test_a_worker_that_was_warmed_up_takes_a_slice_at_once(pooled: Pooled) -> None:
    pooled.pool.submit([item("a.org", 1)], 60.0)
    stage._warm_ups(2, pooled.settings)
    of_slice, of_warm_ups = ({**options, "name": ""} for options in pooled.ray.options_of_tasks)
    assert of_warm_ups == of_slice, "otherwise it waits for 0.5 s"
    assert pooled.ray.slices[1:] == [None, None]


def test_a_slice_is_reported_once_when_it_has_ended(pooled: Pooled) -> None:
    handle = pooled.pool.submit([item("a.org", 1)], 60.0)
    assert not pooled.pool.wait(0.5)
    report = SliceReport(requests=3)
    pooled.ray.ends = {str(handle): report}
    assert pooled.pool.wait(0.5) == [(handle, report)]
    assert not pooled.pool.wait(0.5)


def test_a_crash_is_told_with_the_holder_whose_leases_are_to_be_freed(pooled: Pooled) -> None:
    lost = pooled.end(WorkerCrashedError())
    assert isinstance(lost, SliceLost)
    assert not lost.is_node_lost
    assert lost.failure is None
    assert lost.holder == pooled.ray.slices[0].time_slice.holder


@pytest.mark.parametrize(
    "cause",
    [
        OSError(errno.ENOSPC, "No space left on device", "/out/x"),
        DamagedFileError("/out/urls/x is damaged", "/out/urls/x"),
        RunFolderError("/out/urls/x is missing"),
        MachineError("cluster.scratch=/out/ cannot take a large body"),
    ],
    ids=["full disk", "damaged file", "missing file", "machine"],
)
def test_what_no_other_task_can_do_better_is_a_failure_of_the_run(pooled: Pooled, cause: Exception) -> None:
    lost = pooled.end(RayTaskError("work_slice", "traceback", cause))
    assert isinstance(lost, SliceLost)
    assert isinstance(lost.failure, RunFolderError | MachineError)
    assert lost.reason == str(lost.failure)
    assert "/out/" in lost.reason
    assert lost.holder == pooled.ray.slices[0].time_slice.holder


def test_a_fault_of_ours_is_logged_and_only_costs_its_slice(pooled: Pooled, caplog: pytest.LogCaptureFixture) -> None:
    lost = pooled.end(RayTaskError("work_slice", "the traceback", KeyError("x")))
    assert lost == SliceLost("KeyError: 'x'", holder=pooled.ray.slices[0].time_slice.holder)
    assert "the traceback" in caplog.text


def test_the_loss_of_another_node_ends_no_run(pooled: Pooled) -> None:
    pooled.ray.nodes_alive = (True, False)
    lost = pooled.end(NODE_DIED)
    assert lost == SliceLost(f"{LOST} (node3)", is_node_lost=True, holder=pooled.ray.slices[0].time_slice.holder)
    assert pooled.now_s == 0.0


@pytest.mark.parametrize("fault", [None, RayError("gone"), RuntimeError("gone"), ConnectionError("gone")])
def test_the_end_of_ray_on_this_machine_ends_the_run(pooled: Pooled, fault: Exception | None) -> None:
    pooled.ray.nodes_alive, pooled.ray.fault = (False, True), fault
    with pytest.raises(RayLostError, match="raylet"):
        pooled.end(NODE_DIED)


def test_rays_own_processes_have_the_first_word(pooled: Pooled) -> None:
    pooled.end_of_ray = "its raylet was killed"
    pooled.ray.fault = AssertionError("Ray's client would wait for a minute, and then end the process")
    with pytest.raises(RayLostError, match="its raylet was killed"):
        pooled.end(NODE_DIED)


def test_a_silent_head_ends_the_run_after_its_patience_and_ray_is_not_asked_meanwhile(pooled: Pooled) -> None:
    pooled.head_listens = False
    pooled.ray.fault = AssertionError("Ray's client would wait for a minute, and then end the process")
    waits = 0
    while pooled.now_s < 6.0:
        lost = pooled.end(NODE_DIED)
        assert isinstance(lost, SliceLost)
        waits += 1
    assert waits == round(6.0 / SILENT_INTERVAL_S)
    with pytest.raises(RayLostError, match="accepts no connections"):
        pooled.end(NODE_DIED)


def test_however_many_tasks_are_lost_at_once_the_head_is_asked_once(pooled: Pooled) -> None:
    pooled.head_listens = False
    handles = [pooled.pool.submit([item("a.org", number)], 60.0) for number in range(20)]
    pooled.ray.ends = dict.fromkeys(map(str, handles), NODE_DIED)
    ended = [outcome for _, outcome in pooled.pool.wait(0.5)]
    assert all(isinstance(outcome, SliceLost) and outcome.is_node_lost for outcome in ended)
    assert len(ended) == 20
    assert pooled.now_s == SILENT_INTERVAL_S


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f"{LOST}. Node IP: 10.0.0.3, node ID: ab12. This can happen if ...\nmore", f"{LOST} (node3)"),
        (f"{LOST}. Node IP: 10.0.0.9, node ID: ab12. This can happen if ...", f"{LOST} (10.0.0.9)"),
        ("The worker died unexpectedly. Check the logs.", "The worker died unexpectedly"),
    ],
    ids=["known", "unknown", "no node"],
)
def test_a_lost_node_is_named(pooled: Pooled, message: str, reason: str) -> None:
    lost = pooled.end(RayError(message))
    assert isinstance(lost, SliceLost)
    assert lost.reason == reason
