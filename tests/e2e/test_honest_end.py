"""How a run ends and what it says: an outage of ours, a retry that is stopped; `status` tells at any time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.job import ENVIRONMENT, RunFolder, as_override, command, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STAGES = ("stages=[partition,download]", "politeness.robots=ignore")


def status(out: RunFolder) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "ray_downloader.status", str(out.root), "--json"],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def asked_often(origin: RunningOrigin, count: int) -> bool:
    until = time.monotonic() + 120
    while len(origin.seen("pages.example")) < count and time.monotonic() < until:
        time.sleep(0.1)
    return len(origin.seen("pages.example")) >= count


def test_a_stopped_retry_says_3_and_goes_on_where_it_stopped(tmp_path: Path, origin: RunningOrigin) -> None:
    origin.forget()
    (tmp_path / "list.txt").write_text("\n".join(f"http://pages.example/html/{n}" for n in range(30)) + "\n", "utf-8")
    out = RunFolder(tmp_path / "out")
    arguments = (
        "path_to_input=list.txt", f"path_to_output={out.root}", *STAGES, "downloader_parameters.rate_multiplier=0",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    fast, slow = ("downloader_parameters.default_rate_limit=100",), ("downloader_parameters.default_rate_limit=4",)
    assert run_program(*arguments, *fast, cwd=tmp_path).returncode == 0
    assert status(out)["state"] == "finished"
    with subprocess.Popen(
        command(*arguments, *slow, "retry_errors=[not_image]"), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL
    ) as process:
        assert asked_often(origin, 36)
        now = status(out)
        assert now["state"] == "running"
        assert sum(now["rows"][key] for key in ("successes", "errors", "left", "rejected")) == 30
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 3
    assert status(out)["state"] == "stopped"
    assert out.summary["unsettled_rows"] == status(out)["rows"]["left"] > 0
    assert run_program(*arguments, *fast, cwd=tmp_path).returncode == 0, "it need not be said again what is retried"
    assert status(out)["state"] == "finished"
    asked = Counter(request.target for request in origin.seen("pages.example"))
    assert asked == dict.fromkeys((f"/html/{n}" for n in range(30)), 2), "once at first, and once by the order"
    assert out.settled_uuids().total() == 30


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
