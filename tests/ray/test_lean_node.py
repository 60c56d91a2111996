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


def test_a_ray_with_a_dashboard_and_later_ones_are_started_as_ever() -> None:
    from ray._private.node import Node

    from ray_downloader.cluster.lean_node import starting_lean

    before = dict(vars(Node))
    with starting_lean(has_dashboard=True):
        assert dict(vars(Node)) == before
    with pytest.raises(ZeroDivisionError), starting_lean(has_dashboard=False):
        assert {name for name, value in vars(Node).items() if value is not before[name]} == {
            "start_monitor", "start_log_monitor", "start_api_server",
        }  # fmt: skip
        raise ZeroDivisionError
    assert dict(vars(Node)) == before
