"""How a run ends and what it says: an outage of ours, a retry that is stopped; `status` tells at any time."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.job import ENVIRONMENT, RunFolder, as_override, command, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]

STAGES = ("stages=[partition,download]", "politeness.robots=ignore")


def status(out: RunFolder) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "ray_downloader.status", str(out.root), "--json"],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_named_errors_are_retried_once_by_each_order_also_where_the_retry_is_stopped(
    tmp_path: Path, origin: RunningOrigin
) -> None:
    pages = [f"/html/{n}" for n in range(26)]
    failing = [f"/flaky/{n}.jpg?fail=2&status=500" for n in range(4)]
    missing = [f"/status/404/{n}.jpg" for n in range(6)]
    targets = [*pages, *failing, *missing]
    (tmp_path / "list.txt").write_text("".join(f"http://again.example{target}\n" for target in targets), "utf-8")
    out = RunFolder(tmp_path / "out")
    arguments = (
        "path_to_input=list.txt", f"path_to_output={out.root}", *STAGES, "downloader_parameters.rate_multiplier=0",
        "network.max_attempts=1", as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    fast, slow = "downloader_parameters.default_rate_limit=100", "downloader_parameters.default_rate_limit=4"
    order = "retry_errors=[not_image,http_5xx]"

    def asked() -> Counter[str]:
        return Counter(request.target for request in origin.files_seen("again.example"))

    # 1. All fail.
    assert run_program(*arguments, fast, cwd=tmp_path).returncode == 0
    assert status(out)["state"] == "finished"
    assert out.summary["errors_by_kind"] == {"not_image": 26, "http_5xx": 4, "http_4xx": 6}
    # 2. Retried, and stopped early.
    with subprocess.Popen(
        command(*arguments, slow, order), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 120
        while asked().total() < len(targets) + 5 and time.monotonic() < until:
            time.sleep(0.1)
        now = status(out)
        assert now["state"] == "running"
        assert sum(now["rows"][key] for key in ("successes", "errors", "left", "rejected")) == len(targets)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 3
    assert status(out)["state"] == "stopped"
    assert out.summary["unsettled_rows"] == status(out)["rows"]["left"] > 0
    # 3. It need not be said again what is retried.
    assert run_program(*arguments, fast, cwd=tmp_path).returncode == 0
    assert status(out)["state"] == "finished"
    assert asked() == dict.fromkeys(pages + failing, 2) | dict.fromkeys(missing, 1), "once at first, once by the order"
    assert out.summary["errors_by_kind"] == {"not_image": 26, "http_5xx": 4, "http_4xx": 6}
    # 4. The same order once more is another order.
    assert run_program(*arguments, fast, order, cwd=tmp_path).returncode == 0
    assert asked() == dict.fromkeys(pages + failing, 3) | dict.fromkeys(missing, 1)
    assert out.summary["rows"]["successes"] == 4
    assert out.summary["errors_by_kind"] == {"not_image": 26, "http_4xx": 6}
    assert out.settled_uuids().total() == len(targets)


def test_when_nobody_can_be_reached_the_run_spends_nothing_and_says_what_to_check(tmp_path: Path) -> None:
    urls = [f"http://s{n % 4}.example/photo/{n}.jpg" for n in range(40)]
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n", "utf-8")
    out = RunFolder(tmp_path / "out")
    done = run_program(
        "path_to_input=list.txt", f"path_to_output={out.root}", *STAGES, "network.outage_patience_s=3",
        as_override("network.connect_to", {"*:80": "127.0.0.1:9"}), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if "DNS" in line and "network.proxy" in line]
    assert "check this machine's network" in sentence
    assert out.summary["unsettled_rows"] == 40
    assert out.summary["errors_by_kind"] == {}
    assert status(out)["state"] == "stopped"


def test_a_host_of_a_group_that_is_gone_ends_by_itself(tmp_path: Path, origin: RunningOrigin) -> None:
    """The run never ended: its rows were requested again and again, at no cost to them or to the group's patience."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    listed = [f"http://gone.farm.example/photo/{n}.jpg\n" for n in range(12)]
    listed += [f"http://well.farm.example/photo/{n}.jpg\n" for n in range(30)]
    (tmp_path / "list.txt").write_text("".join(listed), "utf-8")
    out = RunFolder(tmp_path / "out")
    done = run_program(
        "path_to_input=list.txt", f"path_to_output={out.root}", *STAGES, "politeness.patience_s=6",
        "politeness.rules=[{server: '*.farm.example', group: farm}]",
        as_override("network.connect_to", {**origin.connect_to, "gone.farm.example": f"127.0.0.1:{closed}"}),
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert out.summary["rows"]["successes"] == 30
    assert out.summary["errors_by_kind"] == {"server_dead": 12}
