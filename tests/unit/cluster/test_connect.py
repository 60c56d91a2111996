"""How Ray is started or joined, and how much of it is used. Ray's client is replaced: nothing is started."""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray._private import utils as ray_utils
from ray.exceptions import AuthenticationError

from ray_downloader.cluster import connect
from ray_downloader.cluster.connect import LEAST_ADDRESS_SPACE_BYTES, OBJECT_STORE_BYTES, running_cluster
from ray_downloader.config.settings import ClusterSettings, DownloaderParameters, Settings
from ray_downloader.errors import ExitCode, StartError, UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.signals import StopRequested, stopping_on_signals

GB = 2.0**30


def node(name: str, cpus: float, memory_gb: float = 100.0, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": cpus, "memory": memory_gb * GB} if cpus else {}
    return {"Alive": alive, "Resources": resources, "NodeManagerAddress": f"ip of {name}", "NodeManagerHostname": name}


@dataclass
class FakeRay:
    """Ray's client: how it was started, and the nodes that it knows.

    Args:
        fault: What joining raises.
        runs: Whether the caller has joined a Ray already.
    """

    known: list[dict[str, Any]] = field(default_factory=lambda: [node("n1", 4)])
    fault: Exception | None = None
    runs: bool = False
    started: list[dict[str, Any]] = field(default_factory=list)
    ended: int = 0

    def is_initialized(self) -> bool:
        return self.runs

    def init(self, **options: Any) -> SimpleNamespace:
        self.started.append(options)
        if self.fault is not None:
            raise self.fault
        return SimpleNamespace(address_info={"webui_url": "127.0.0.1:8265"})

    def shutdown(self) -> None:
        self.ended += 1

    def nodes(self) -> list[dict[str, Any]]:
        return self.known

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(gcs_address="10.0.0.1:6379")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(connect, "ray", fake)
    monkeypatch.setattr(connect, "refuse_silent", lambda _: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return fake


def cluster_of(folder: Path, purpose: str = "", parameters: Mapping[str, Any] | None = None, **options: Any) -> Any:
    settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": folder / "out"})
    layout, amount = RunLayout.of(settings), DownloaderParameters.model_validate(parameters or {})
    return running_cluster(ClusterSettings.model_validate(options), amount, layout, purpose)


def test_an_embedded_ray_is_small_closed_to_others_and_ends_with_the_run(fake: FakeRay, tmp_path: Path) -> None:
    with cluster_of(tmp_path, name="local", num_cpus=3, scratch=str(tmp_path)) as cluster:
        assert (cluster.nodes, cluster.cpus, cluster.slots) == (1, 4, 4)
        assert cluster.namespace == f"ray_downloader {tmp_path / 'out'}"
        assert cluster.hostnames == {"ip of n1": "n1"}
        assert fake.ended == 0
    assert fake.ended == 1
    (options,) = fake.started
    assert (options["address"], options["num_cpus"], options["include_dashboard"]) == ("local", 3, False)
    assert options["object_store_memory"] == OBJECT_STORE_BYTES == 83_886_080
    assert options["log_to_driver"] is False


@pytest.mark.parametrize("options", [{"name": "local"}, {"name": "existing", "address": "head:6379"}])
def test_ray_does_not_take_the_signals(
    fake: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
) -> None:
    def init(**options: Any) -> SimpleNamespace:
        ray_utils.set_sigterm_handler(lambda number, _: sys.exit(number))
        signal.raise_signal(signal.SIGTERM)
        return FakeRay.init(fake, **options)

    monkeypatch.setattr(fake, "init", init)
    with (
        pytest.raises(StopRequested), stopping_on_signals(),
        cluster_of(tmp_path, scratch=str(tmp_path), **options),
    ):  # fmt: skip
        pass
    assert (len(fake.started), fake.ended) == (1, 1), "it has ended as one that runs"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            Exception("The current node timed out during startup. This could happen because"),
            "The current node timed out",
        ),
        (RuntimeError(), "RuntimeError"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
    ids=["ray's own", "empty", "full disk"],
)
def test_an_embedded_ray_that_does_not_start_is_one_sentence(
    fake: FakeRay, tmp_path: Path, fault: Exception, words: str
) -> None:
    fake.fault = fault
    with pytest.raises(StartError, match=words) as failure, cluster_of(tmp_path, name="local", scratch=str(tmp_path)):
        pass
    said = str(failure.value)
    assert said.startswith("Ray did not start on this machine: ") and f"/rd-{os.getuid()}/ray" in said
    assert "\n" not in said and failure.value.exit_code is ExitCode.FAILED


def test_too_little_address_space_is_said_before_ray_aborts(
    fake: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(limit_bytes: int) -> None:
        monkeypatch.setattr(connect.resource, "getrlimit", lambda _: (limit_bytes, resource.RLIM_INFINITY))

    limited(LEAST_ADDRESS_SPACE_BYTES - 1)
    words = r"allows each process 3583 MB of address space \(ulimit -v\), and Ray needs 3584 or more"
    with pytest.raises(StartError, match=words) as failure, cluster_of(tmp_path, name="local", scratch=str(tmp_path)):
        pass
    assert (failure.value.exit_code, fake.started) == (ExitCode.FAILED, [])
    for enough in (LEAST_ADDRESS_SPACE_BYTES, resource.RLIM_INFINITY):
        limited(enough)
        with cluster_of(tmp_path, name="local", scratch=str(tmp_path)):
            pass


def test_the_callers_own_ray_is_used_and_not_ended(fake: FakeRay, tmp_path: Path) -> None:
    fake.runs = True
    with cluster_of(tmp_path, "tool", name="local") as cluster:
        assert cluster.dashboard is None
        assert cluster.namespace.endswith(" tool")
    assert (fake.started, fake.ended) == ([], 0)


def test_a_running_ray_is_joined_by_its_address_or_that_of_the_environment(
    fake: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster_of(tmp_path, name="existing", address="head:6379", namespace="mine") as cluster:
        assert (cluster.namespace, cluster.dashboard) == ("mine", "127.0.0.1:8265")
    monkeypatch.setenv("RAY_ADDRESS", "other:6379")
    with cluster_of(tmp_path, name="existing"):
        pass
    assert [options["address"] for options in fake.started] == ["head:6379", "other:6379"]
    assert fake.started[0]["namespace"] == "mine"
    assert fake.ended == 2, "the connection, not that Ray"


def test_without_an_address_it_is_said_how_to_give_one(fake: FakeRay, tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"set cluster\.address=host:port or RAY_ADDRESS"),
        cluster_of(tmp_path, name="existing"),
    ):
        pass


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (AuthenticationError("InvalidAuthToken\nmore"), r"refuses this user's token: .*cluster\.token_file"),
        (ConnectionError("nobody there\nmore"), r"no Ray answers at head:6379.*nobody there$"),
        (RuntimeError("version mismatch"), r"version mismatch"),
        (ValueError("odd address"), r"odd address"),
    ],
    ids=["token", "nobody", "version", "address"],
)
def test_what_does_not_let_us_join_is_one_sentence(fake: FakeRay, tmp_path: Path, fault: Exception, words: str) -> None:
    fake.fault = fault
    with pytest.raises(UserError, match=words), cluster_of(tmp_path, name="existing", address="head:6379"):
        pass
    assert fake.ended == 1


def test_nodes_that_are_lost_or_have_no_cpu_do_not_count_and_the_largest_are_used(
    fake: FakeRay, tmp_path: Path
) -> None:
    fake.known = [node("a", 2), node("b", 8, 2.0), node("gone", 64, alive=False), node("head", 0), node("c", 4)]
    with cluster_of(tmp_path, name="existing", address="x:1", parameters={"max_nodes": 2}) as cluster:
        assert (cluster.nodes, cluster.cpus) == (2, 12)
        assert cluster.memory_mb == pytest.approx(102 * 1024)
        assert set(cluster.hostnames.values()) == {"a", "b", "head", "c"}


@pytest.mark.parametrize(
    ("resources", "parameters", "slots"),
    [
        ({"CPU": 8.0}, {}, 8),
        ({"CPU": 8.0, "memory": math.inf}, {}, 8),
        ({"CPU": 8.0, "memory": 2.9 * GB}, {}, 2),
        ({"CPU": 8.0, "memory": 0.2 * GB}, {}, 1),
        ({"CPU": 8.0}, {"workers_per_node": 3}, 3),
        ({"CPU": 2.0}, {"workers_per_node": 3}, 2),
        ({"CPU": 8.0}, {"cpu_per_worker": 3}, 2),
    ],
    ids=["cpus", "memory unknown", "memory for two", "memory for none", "fewer wanted", "more wanted", "wide workers"],
)
def test_a_node_takes_as_many_tasks_as_it_has_cpus_and_memory_for(
    resources: dict[str, float], parameters: dict[str, Any], slots: int
) -> None:
    options = ClusterSettings(worker_memory_mb=1024)
    assert connect._slots_of(resources, options, DownloaderParameters.model_validate(parameters)) == slots


def test_a_cluster_without_room_for_a_task_still_has_one(fake: FakeRay, tmp_path: Path) -> None:
    fake.known = [node("a", 1)]
    with cluster_of(tmp_path, name="existing", address="x:1", parameters={"cpu_per_worker": 4}) as cluster:
        assert cluster.slots == 1


@pytest.mark.parametrize(("length", "is_kept"), [(32, True), (33, False)])
def test_a_scratch_whose_path_is_too_long_for_sockets_is_replaced(length: int, is_kept: bool) -> None:
    scratch = "/".ljust(length, "x")
    assert connect._short(scratch) == Path(scratch if is_kept else "/tmp")


@pytest.mark.parametrize(("usable", "memory"), [(4 * 2**30, 4 * 2**30 - OBJECT_STORE_BYTES), (2**60, None), (1, 1)])
def test_tasks_get_what_the_job_allows_without_the_object_store(
    monkeypatch: pytest.MonkeyPatch, usable: int, memory: int | None
) -> None:
    monkeypatch.setattr(connect, "usable_memory_bytes", lambda: usable)
    monkeypatch.setattr(connect.psutil, "virtual_memory", lambda: SimpleNamespace(total=8 * 2**30))
    assert connect._memory_for_tasks() == memory


@dataclass
class Step:
    """A Ray on the nodes of a job, of which `joining` may still join."""

    joining: bool
    address: str = "10.0.0.1:6379"
    names: tuple[str, ...] = ("n1", "n2")
    checks: int = 0

    def require_started(self) -> None:
        self.checks += 1

    def awaits_nodes(self, joined: list[str]) -> bool:
        return self.joining and len(joined) < 2

    def missing_words(self, joined: list[str]) -> str:
        return f"all but {', '.join(joined)}"


def test_nodes_that_cannot_join_are_named_and_not_waited_for(fake: FakeRay, caplog: pytest.LogCaptureFixture) -> None:
    connect._await_nodes(Step(joining=False), 600.0)  # type: ignore[arg-type]  # as far as it is used
    assert "only 1 of 2 nodes joined, the run goes on with them: all but n1" in caplog.text


def test_nodes_that_join_are_waited_for_and_no_longer_than_allowed(
    fake: FakeRay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = [0.0]

    def sleep(seconds: float) -> None:
        now_s[0] += seconds
        if now_s[0] > 3.0:
            fake.known = [node("n1", 4), node("n2", 4)]

    monkeypatch.setattr(connect, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=sleep))
    step = Step(joining=True)
    connect._await_nodes(step, 60.0)  # type: ignore[arg-type]  # as far as it is used
    assert 3.0 < now_s[0] < 3.5
    assert step.checks > 10, "while it waits it looks whether Ray has ended"
    assert caplog.text == ""
    fake.known, now_s[0] = [node("n1", 4)], -10.0
    connect._await_nodes(Step(joining=True), 5.0)  # type: ignore[arg-type]  # as far as it is used
    assert -5.0 < now_s[0] < -4.0
    assert "only 1 of 2 nodes joined" in caplog.text


def test_a_ray_that_listens_before_it_answers_is_asked_again(fake: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.known = [node("n1", 4), node("n2", 4)]
    fake.fault = ConnectionError("not yet")

    class Starting(Step):
        def require_started(self) -> None:
            fake.fault = None

    options = ClusterSettings(name="slurm", dashboard_port=None)
    assert connect._join_step(Starting(joining=True), "space", options) is None  # type: ignore[arg-type]  # as above
    assert len(fake.started) == 2
    fake.fault = ConnectionError("never")
    with pytest.raises(UserError, match="no Ray answers"):
        connect._join_step(Step(joining=True), "space", ClusterSettings(name="slurm", start_timeout_s=0.001))  # type: ignore[arg-type]  # as above
