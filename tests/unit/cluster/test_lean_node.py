"""What an embedded Ray is to leave out and to know: changed while it starts, and at no other time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray._private.node import Node

from ray_downloader.cluster import lean_node
from ray_downloader.cluster.lean_node import starting_lean


def test_a_ray_with_a_dashboard_has_all_of_its_processes_and_later_ones_start_as_ever() -> None:
    def changed() -> set[str]:
        return {name for name, value in vars(Node).items() if value is not before[name]}

    before = dict(vars(Node))
    with starting_lean(has_dashboard=True):
        assert changed() == {"start_ray_processes"}
    with pytest.raises(ZeroDivisionError), starting_lean(has_dashboard=False):
        assert changed() == {"start_ray_processes", "start_monitor", "start_log_monitor", "start_api_server"}
        assert Node.start_api_server(None, include_dashboard=False, raise_on_failure=False) is None
        raise ZeroDivisionError
    assert not changed()


def test_a_ray_that_names_its_methods_otherwise_starts_as_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Node, "start_monitor")
    monkeypatch.delattr(Node, "start_ray_processes")
    with starting_lean(has_dashboard=False):
        assert not hasattr(Node, "start_monitor")
        assert not hasattr(Node, "start_ray_processes")


def test_each_agent_has_a_port_of_its_own_that_nobody_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[SimpleNamespace] = []
    monkeypatch.setattr(Node, "start_ray_processes", lambda node: started.append(node._ray_params))
    monkeypatch.setattr(lean_node, "_PORTS", range(20_000, 20_009))
    monkeypatch.setattr(lean_node, "why_not", lambda port: "Address already in use" if port % 2 else "")
    node = SimpleNamespace(_ray_params=SimpleNamespace(dashboard_agent_listen_port=52365, metrics_agent_port=None))
    with starting_lean(has_dashboard=False):
        Node.start_ray_processes(node)
    ports = vars(started[0])
    assert ports.keys() == {
        "metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port",
    }  # fmt: skip
    assert len({*ports.values()}) == 4
    assert {*ports.values()} <= {20_000, 20_002, 20_004, 20_006, 20_008}
