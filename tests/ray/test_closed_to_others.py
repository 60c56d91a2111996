"""A run's own Ray: nobody else can enter its folders, it listens on this machine only, and asks nobody outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import CHECKOUT

pytestmark = [pytest.mark.ray, pytest.mark.thorough]

#: Starts Ray as a run does, runs a task, and reports the session's folder, its ports, and what a tool's task inherits.
SCRIPT = """
import json, os, sys, time
from pathlib import Path
from ray_downloader.cluster.environment import prepare_environment
from ray_downloader.config.settings import Settings
from ray_downloader.run_folder.layout import RunLayout
settings = Settings.from_config({"path_to_input": "-", "path_to_output": sys.argv[1], "cluster": {"num_cpus": 1}})
prepare_environment(settings.cluster)
import psutil, ray
from ray_downloader.cluster.connect import running_cluster
from ray_downloader.cluster.task_pool import TaskPool
with running_cluster(settings.cluster, settings.downloader_parameters, RunLayout.of(settings)):
    (proxy,) = TaskPool(1, 1.0).run(lambda _: os.environ.get("http_proxy"), [1])
    session = ray._private.worker._global_node.get_session_dir_path()
    mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listens = {c.laddr.ip for one in mine for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    time.sleep(3)  # Ray's usage reporter, if it asked anybody, would do so now
    print(json.dumps({"session": session, "listens": sorted(listens), "proxy": proxy}))
"""
PROXY = "http://127.0.0.1:7"


def test_ray_is_closed_to_other_users_and_machines_and_asks_nobody(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=connect,sendto,sendmsg,sendmmsg"]
    can_trace = shutil.which("strace") and not subprocess.run([*strace, "true"], check=False).returncode
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"http_proxy": PROXY, "https_proxy": PROXY, "no_proxy": "169.254.169.254", "HOME": str(tmp_path)}
    done = subprocess.run(
        [*(strace if can_trace else []), sys.executable, "-c", SCRIPT, str(tmp_path / "out")],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    above = Path(found["session"]).parents[1]
    assert above.stat().st_mode & 0o077 == 0
    assert above.stat().st_uid == os.getuid()
    assert not Path(found["session"]).exists(), "removed after a run that ended well"
    assert set(found["listens"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert found["proxy"] == PROXY, "a tool of the user may need it"
    assert not (tmp_path / ".ray").exists(), "no token is written where others can read it"
    if not can_trace:
        pytest.skip("strace is not installed or not allowed: who was asked was not observed")
    asked = re.findall(r'(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"', trace.read_text("utf-8", "replace"))
    assert {address.removeprefix("::ffff:") for address in asked} <= {"127.0.0.1", "::1", "0.0.0.0", "::"}
    assert "sin_port=htons(7)" not in trace.read_text("utf-8", "replace"), "Ray's traffic keeps away from the proxy"
