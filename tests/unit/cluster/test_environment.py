"""What Ray's own processes inherit: no proxy that answers, no reports; the user's proxies come back for their tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_downloader.cluster import environment
from ray_downloader.cluster.environment import as_ray_process, prepare_environment, restore_proxies
from ray_downloader.config.settings import ClusterSettings

PROXIES = {"http_proxy": "http://proxy:3128", "NO_PROXY": "169.254.169.254", "no_proxy": "10.0.0.0/8"}


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A small environment instead of that of the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("RAY_"):
            monkeypatch.delenv(name)
    for name, value in PROXIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # pytest changes it meanwhile
    before = dict(os.environ)
    yield before
    os.environ.clear()
    os.environ.update(before)


def without_pytest() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def test_ray_meets_a_proxy_that_nobody_answers_for_and_spares_its_own_traffic(environ: dict[str, str]) -> None:
    with as_ray_process():
        inside = dict(os.environ)
    assert without_pytest() == environ, "the driver's own environment stays"
    assert inside["http_proxy"] == inside["https_proxy"] == "http://127.0.0.1:9"
    assert (inside["no_proxy"], inside["NO_PROXY"]) == ("", "")
    assert inside["RAY_USAGE_STATS_REPORT_URL"] == "http://127.0.0.1:9"
    ends = inside["no_grpc_proxy"].split(",")
    assert all(any(address.endswith(end) for end in ends) for address in ("10.0.0.7", "fe80::a", "::1", "192.0.2.250"))


def test_ray_neither_waits_longer_nor_remembers_more_than_it_needs_unless_the_user_says_so(
    environ: dict[str, str],
) -> None:
    os.environ.update({"RAY_raylet_client_num_connect_attempts": "7"})
    with as_ray_process():
        inside = dict(os.environ)
    assert inside["RAY_raylet_client_connect_timeout_milliseconds"] == "20"
    assert inside["RAY_raylet_client_num_connect_attempts"] == "7"
    assert inside["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"] == "1s"
    assert inside["RAY_task_events_max_num_task_in_gcs"] == "10000"


def test_tools_get_the_proxies_of_the_user_back(environ: dict[str, str]) -> None:
    with as_ray_process(), as_ray_process():  # a worker that starts another Ray
        restore_proxies()
        assert {name: os.environ.get(name) for name in PROXIES} == PROXIES
        assert "https_proxy" not in os.environ
    os.environ.pop(environment.KEPT_PROXIES, None)
    restore_proxies()
    assert without_pytest() == environ


@pytest.mark.parametrize(
    ("given", "is_chosen"),
    [
        ({}, True),
        ({"RAY_AUTH_MODE": "token"}, True),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "mine"}, False),
        ({"RAY_AUTH_MODE": "disabled"}, False),
    ],
    ids=["nothing", "mode only", "own token", "off"],
)
def test_a_run_on_one_machine_has_a_token_of_its_own_so_that_ray_writes_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], is_chosen: bool
) -> None:
    monkeypatch.setattr(environment, "HOME_TOKEN", tmp_path / "auth_token")
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    os.environ.update(given)
    prepare_environment(ClusterSettings())
    chosen = os.environ.get("RAY_AUTH_TOKEN")
    assert (chosen not in (None, "mine")) == is_chosen
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0", "everything listens on 127.0.0.1"
