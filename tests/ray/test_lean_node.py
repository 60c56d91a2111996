"""An embedded Ray without a dashboard is only what a run uses."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil
import pytest

pytestmark = [pytest.mark.ray]

#: Scripts of Ray's own processes: autoscaler, log monitor, server of the dashboard.
_UNUSED = ("/monitor.py", "/log_monitor.py", "/dashboard/dashboard.py")


def test_processes_that_no_run_uses_are_not_started(ray_cluster: None) -> None:
    words = [word for process in psutil.Process().children(recursive=True) for word in process.cmdline()]
    assert any(word.endswith("/gcs_server") for word in words)
    assert any(word.endswith("/raylet") for word in words)
    assert not [word for word in words if word.endswith(_UNUSED)]


def test_agents_listen_where_the_raylet_was_told(ray_cluster: None) -> None:
    import ray

    (node,) = ray.nodes()
    assert node["MetricsExportPort"] in range(20_000, 32_000)


def test_a_ray_with_a_dashboard_has_all_of_its_processes_and_later_ones_start_as_ever() -> None:
    from ray._private.node import Node

    from ray_downloader.cluster.lean_node import starting_lean

    def changed() -> set[str]:
        return {name for name, value in vars(Node).items() if value is not before[name]}

    before = dict(vars(Node))
    with starting_lean(has_dashboard=True):
        assert changed() == {"start_ray_processes"}
    with pytest.raises(ZeroDivisionError), starting_lean(has_dashboard=False):
        assert changed() == {"start_ray_processes", "start_monitor", "start_log_monitor", "start_api_server"}
        raise ZeroDivisionError
    assert not changed()


def test_each_agent_has_a_port_of_its_own_that_nobody_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private.node import Node

    from ray_downloader.cluster import lean_node

    started: list[SimpleNamespace] = []
    monkeypatch.setattr(Node, "start_ray_processes", lambda node: started.append(node._ray_params))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        used = taken.getsockname()[1]
        monkeypatch.setattr(lean_node, "_PORTS", range(used - 4, used + 5))
        node = SimpleNamespace(_ray_params=SimpleNamespace(dashboard_agent_listen_port=52365, metrics_agent_port=None))
        with lean_node.starting_lean(has_dashboard=False):
            Node.start_ray_processes(node)
    ports = vars(started[0])
    assert ports.keys() == {
        "metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port",
    }  # fmt: skip
    assert len({*ports.values()}) == 4
    assert {*ports.values()} <= {*range(used - 4, used + 5)} - {used}
