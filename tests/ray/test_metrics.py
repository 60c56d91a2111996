"""What a Prometheus that scrapes Ray's nodes sees of a run."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.free_port import free_port

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

WANTED = {
    ("images_total", "run", "out/gbif %C3%A9"): 50.0,
    ("bytes_total", "run", "out/gbif %C3%A9"): 1500.0,
    ("stored_bytes_total", "run", "out/gbif %C3%A9"): 300.0,
    ("errors_total", "kind", "http_4xx"): 4.0,
    ("requests_total", "status", "503"): 2.0,
    ("server_rows_per_s", "server", "museum.example"): 2.0,
    ("server_rows_per_s", "server", "other"): 0.0,
    ("server_rate", "server", "museum.example"): 4.0,
    ("server_budget_use", "server", "museum.example"): 0.5,
    ("server_paused", "server", "museum.example"): 1.0,
    ("server_pause_seconds", "server", "museum.example"): 60.0,
    ("server_ttfb_seconds", "server", "museum.example"): 0.25,
    ("queue_in_flight", "run", "out/gbif %C3%A9"): 3.0,
    ("rows_left", "run", "out/gbif %C3%A9"): 56.0,
}


@pytest.fixture(scope="module")
def endpoint(ray_cluster: object) -> str:
    """A node's endpoint, after a run has published twice."""
    import ray

    from ray_downloader.cluster.metrics import RunMetrics
    from ray_downloader.cluster.ports import RunView
    from ray_downloader.monitor.waiting import Waiting
    from ray_downloader.politeness.messages import WaitReason
    from ray_downloader.run_folder.packed_states import LearnedFacts
    from ray_downloader.worker.progress import Progress, ProgressDelta

    rows = {"museum.example": 100, "herbarium.example": 10}
    metrics = RunMetrics("out/gbif é", rows, lambda server: server, now_s=0.0, wall_clock=lambda: 1000.0)
    progress = Progress()
    progress.add(ProgressDelta({("museum.example", ""): 30, ("herbarium.example", "http_4xx"): 4}, 1000), 5.0)
    metrics.update(RunView(progress), now_s=10.0)
    progress.add(
        ProgressDelta(
            {("museum.example", ""): 20}, 500, holder="task", stored_bytes=300, queues=(9, 3, 0),
            statuses={("museum.example", "200"): 20, ("elsewhere.example", "503"): 2}, ttfb_s={"museum.example": 5.0},
        ),
        15.0,
    )  # fmt: skip
    waiting = {"museum.example": Waiting(WaitReason.RETRY_AFTER, 1060.0)}
    metrics.update(RunView(progress, waiting=waiting, learned={"museum.example": LearnedFacts(4.0)}), now_s=20.0)
    (node,) = ray.nodes()
    return f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}"


def test_a_nodes_endpoint_tells_how_a_run_is_doing(endpoint: str) -> None:
    def seen() -> dict[tuple[str, str, str], float]:
        try:
            lines = requests.get(f"http://{endpoint}/metrics", timeout=10).text.splitlines()
        except requests.ConnectionError:
            return {}  # the agent starts when the machine has time
        return {key: value for key in WANTED if (value := _value_of(lines, *key)) is not None}

    assert _awaited(seen) == WANTED


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus (apt-get install prometheus)")
@pytest.mark.thorough
def test_a_real_prometheus_scrapes_it(endpoint: str, tmp_path: Path) -> None:
    config = {
        "scrape_configs": [{"job_name": "ray", "scrape_interval": "1s", "static_configs": [{"targets": [endpoint]}]}]
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config), "utf-8")
    port = free_port()
    command = [
        "prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:

            def seen() -> dict[tuple[str, str, str], float]:
                found = {}
                for name, tag, value in WANTED:
                    query = f'ray_downloader_{name}{{{tag}="{value}"}}'
                    try:
                        answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", {"query": query}, timeout=10)
                        for one in answer.json()["data"]["result"]:
                            found[name, tag, value] = float(one["value"][1])
                    except requests.ConnectionError:
                        break  # it is still starting
                return found

            assert _awaited(seen) == WANTED
        finally:
            process.terminate()


def test_the_grafana_dashboard_asks_for_metrics_that_exist(tmp_path: Path) -> None:
    from ray_downloader.cluster.metrics import COUNTERS, GAUGES
    from ray_downloader.grafana import main

    assert main([str(tmp_path)]) == 0
    known = {f"ray_{name}_total" for name in COUNTERS} | {f"ray_{name}" for name in GAUGES}
    text = (tmp_path / "dashboards" / "ray_downloader.json").read_text("utf-8")
    asked = {word for word in _words(text) if word.startswith("ray_downloader_")}
    assert asked <= known
    assert len(asked) > 12


def _words(text: str) -> list[str]:
    import re

    return [
        word
        for panel in json.loads(text)["panels"]
        for one in panel.get("targets", ())
        for word in re.findall(r"\w+", one["expr"])
    ]


def _awaited(seen: Callable[[], dict[Any, float]]) -> dict[Any, float]:
    """What is seen once it is what is wanted, or after a while."""
    until_s = time.monotonic() + 120
    found: dict[Any, float] = {}
    while found != WANTED and time.monotonic() < until_s:
        time.sleep(0.5)
        found = seen()
    return found


def _value_of(lines: list[str], metric: str, tag: str, value: str) -> float | None:
    found = [line for line in lines if line.startswith(f"ray_downloader_{metric}{{") and f'{tag}="{value}"' in line]
    return float(found[-1].rpartition(" ")[2]) if found else None
