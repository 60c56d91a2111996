"""An embedded Ray without a dashboard is only what a run uses."""

from __future__ import annotations

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


def test_agents_start_when_the_machine_has_time(ray_cluster: None) -> None:
    def niceness_of(kind: str) -> list[int]:
        return [process.nice() for process in running if kind in " ".join(process.cmdline()).lower()]

    (raylet,) = (child for child in psutil.Process().children() if child.name() == "raylet")
    running = raylet.children()
    assert niceness_of("agent") == [5, 5], [process.cmdline() for process in running]
