"""What a Prometheus that scrapes Ray's nodes sees of a run."""

from __future__ import annotations

import time
from collections import Counter

import pytest
import requests

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


def test_a_nodes_endpoint_tells_images_bytes_errors_and_rates() -> None:
    import ray

    from ray_downloader.cluster.metrics import RunMetrics
    from ray_downloader.cluster.ports import RunView
    from ray_downloader.worker.progress import Progress

    metrics = RunMetrics("out/gbif é", now_s=0.0)
    settled = Counter({("museum.example", ""): 30, ("herbarium.example", "http_4xx"): 4})
    metrics.update(RunView(Progress(settled, size_bytes=1000)), now_s=10.0)
    later = Progress(settled + Counter({("museum.example", ""): 20}), size_bytes=1500)
    metrics.update(RunView(later), now_s=20.0)
    (node,) = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    wanted = {
        ("ray_downloader_images_total", 'run="out/gbif %C3%A9"'): 50.0,
        ("ray_downloader_bytes_total", 'run="out/gbif %C3%A9"'): 1500.0,
        ("ray_downloader_errors_total", 'kind="http_4xx"'): 4.0,
        ("ray_downloader_server_rps", 'server="museum.example"'): 2.0,
        ("ray_downloader_server_rps", 'server="herbarium.example"'): 0.0,
    }
    until_s, seen = time.monotonic() + 30, {}
    while seen != wanted and time.monotonic() < until_s:
        time.sleep(0.5)
        lines = requests.get(address, timeout=10).text.splitlines()
        seen = {key: value for key in wanted if (value := value_of(lines, *key)) is not None}
    assert seen == wanted


def value_of(lines: list[str], metric: str, tag: str) -> float | None:
    found = [line for line in lines if line.startswith(f"ray_{metric}{{") and tag in line]
    return float(found[-1].rpartition(" ")[2]) if found else None
