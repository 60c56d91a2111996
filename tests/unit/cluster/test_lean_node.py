"""What an embedded Ray is to leave out and to know: changed while it starts, and at no other time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import psutil
import pytest
from ray import _raylet
from ray._private import utils
from ray._private.node import Node
from ray.exceptions import RpcError

from ray_downloader.cluster import lean_node
from ray_downloader.cluster.lean_node import starting_lean

REGISTERED = {"id": "alive"}


@dataclass
class StartingNode:
    """Ray's `Node`, as far as it is known here.

    Args:
        answers: What the GCS answers about its nodes, or raises, one after the other.
    """

    answers: list[Mapping[str, str] | Exception] = field(default_factory=lambda: [REGISTERED])
    events: list[str] = field(default_factory=list)
    node_id: str = "id"
    _ray_params: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(dashboard_agent_listen_port=52365, metrics_agent_port=None)
    )

    @property
    def all_processes(self) -> dict[str, list[SimpleNamespace]]:
        return {"raylet": [SimpleNamespace(process=SimpleNamespace(pid=7))]}

    def get_session_dir_path(self) -> str:
        return "session"

    def get_gcs_client(self) -> SimpleNamespace:
        return SimpleNamespace(get_all_node_info=self._answer)

    def _answer(self, timeout: float) -> Mapping[str, str]:
        self.events.append("asked")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


Start = Callable[[StartingNode, bool], list[str]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a node, with a dashboard or without; returns what happened, in order."""
    events: list[str] = []

    def start(node: StartingNode, has_dashboard: bool) -> list[str]:
        node.events = events
        with starting_lean(has_dashboard):
            Node.start_ray_processes(node)
        return events

    def persist_port(folder: str, node_id: str, name: str, port: int) -> None:
        events.append(f"{folder}/{name}_{node_id}: {'known' if port in range(20_000, 32_000) else port}")

    def process(pid: int) -> SimpleNamespace:
        agent = SimpleNamespace(nice=lambda value: events.append(f"agent of {pid}: niceness {value}"))
        return SimpleNamespace(children=lambda: [agent])

    monkeypatch.setattr(Node, "start_ray_processes", lambda _: events.append("started"))
    monkeypatch.setattr(_raylet, "persist_port", persist_port, raising=False)
    monkeypatch.setattr(lean_node, "psutil", SimpleNamespace(Process=process, Error=psutil.Error))
    monkeypatch.setattr(lean_node, "why_not", lambda _: "")
    return start


def test_a_ray_with_a_dashboard_has_all_of_its_processes_and_later_ones_start_as_ever() -> None:
    def changed() -> set[str]:
        names = {name for name, value in vars(Node).items() if value is not before[name]}
        return names | {name for name, value in vars(utils).items() if value is not functions[name]}

    before, functions = dict(vars(Node)), dict(vars(utils))
    with starting_lean(has_dashboard=True):
        assert changed() == {"start_ray_processes"}
    with pytest.raises(ZeroDivisionError), starting_lean(has_dashboard=False):
        assert changed() == {
            "start_ray_processes", "start_monitor", "start_log_monitor", "start_api_server",
            "get_dashboard_dependency_error",
        }  # fmt: skip
        assert Node.start_api_server(None, include_dashboard=False, raise_on_failure=False) is None
        raise ZeroDivisionError
    assert not changed()


def test_a_ray_that_names_its_parts_otherwise_starts_as_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Node, "start_monitor")
    monkeypatch.delattr(Node, "start_ray_processes")
    monkeypatch.delattr(utils, "get_dashboard_dependency_error")
    with starting_lean(has_dashboard=False):
        assert not hasattr(Node, "start_monitor")
        assert not hasattr(Node, "start_ray_processes")
        assert not hasattr(utils, "get_dashboard_dependency_error")


@pytest.mark.parametrize("has_dashboard", [True, False])
def test_each_agent_has_a_port_of_its_own_that_nobody_uses(
    start: Start, monkeypatch: pytest.MonkeyPatch, has_dashboard: bool
) -> None:
    monkeypatch.setattr(lean_node, "_PORTS", range(20_000, 20_009))
    monkeypatch.setattr(lean_node, "why_not", lambda port: "Address already in use" if port % 2 else "")
    node = StartingNode()
    start(node, has_dashboard)
    ports = vars(node._ray_params)
    assert ports.keys() == {
        "metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port",
    }  # fmt: skip
    assert len({*ports.values()}) == 4
    assert {*ports.values()} <= {20_000, 20_002, 20_004, 20_006, 20_008}


def test_ports_run_out_instead_of_being_sought_for_ever(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean_node, "_PORTS", range(20_000, 20_009))
    monkeypatch.setattr(lean_node, "why_not", lambda _: "Address already in use")
    node = StartingNode()
    start(node, False)
    assert vars(node._ray_params) == {"dashboard_agent_listen_port": 52365, "metrics_agent_port": None}


def test_the_raylet_does_not_wait_for_its_agents_which_yield_to_the_workers(start: Start) -> None:
    assert start(StartingNode([{}, {}, REGISTERED]), False) == [
        "session/dashboard_agent_listen_port_id: known", "started", "asked", "asked", "asked",
        "agent of 7: niceness 5",
    ]  # fmt: skip
    assert _raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME == "dashboard_agent_listen_port"


def test_a_dashboard_finds_its_agents_as_ever(start: Start) -> None:
    assert start(StartingNode(), True) == ["started"]


def test_a_ray_without_files_for_ports_starts_too(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_raylet, "persist_port")
    assert start(StartingNode(), False) == ["started", "asked", "agent of 7: niceness 5"]


def test_what_is_wrong_with_the_gcs_is_left_to_ray_to_say(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(StartingNode([RpcError("unavailable")]), False)[1:] == ["started", "asked", "agent of 7: niceness 5"]
    monkeypatch.setattr(lean_node, "_REGISTRATION_PATIENCE_S", 0.0)
    assert start(StartingNode([{}]), False)[-2:] == ["asked", "agent of 7: niceness 5"]


def test_a_raylet_that_has_ended_is_left_to_ray_to_say(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: int) -> None:
        raise psutil.NoSuchProcess(7)

    monkeypatch.setattr(lean_node, "psutil", SimpleNamespace(Process=gone, Error=psutil.Error))
    assert start(StartingNode(), False)[1:] == ["started", "asked"]


def test_an_agent_with_few_features_only_starts_where_its_libraries_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray_says = utils.get_dashboard_dependency_error()
    with starting_lean(has_dashboard=False):
        assert utils.get_dashboard_dependency_error() is ray_says is None
        monkeypatch.setattr(lean_node, "_AGENT_LIBRARIES", ("json", "no_such_library", "no_such_parent.library"))
        error = utils.get_dashboard_dependency_error()
    assert isinstance(error, ImportError)
    assert str(error) == "no_such_library, no_such_parent.library"
