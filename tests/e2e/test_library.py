"""`download_images` from Python: in a thread, in a running event loop, and beside the caller's own Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.job import ENVIRONMENT, TIMEOUT_S

pytestmark = [pytest.mark.ray]

PROGRAM = """
import asyncio, json, threading
import ray
from ray_downloader import download_images

ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20, namespace="mine")
node = ray.get_runtime_context().get_node_id()
results = []


def job(name):
    results.append(download_images({"path_to_input": "list.txt"}, path_to_output=name))


async def in_a_loop():
    job("loop")


if __name__ == "__main__":
    thread = threading.Thread(target=job, args=("thread",))
    thread.start()
    thread.join()
    asyncio.run(in_a_loop())
    print(json.dumps({
        "exit_codes": results,
        "rows": [result.rows["errors"] for result in results],
        "is_same_ray": ray.get_runtime_context().get_node_id() == node,
        "namespace": ray.get_runtime_context().namespace,
        "frame": list(results[0].to_pandas(errors=True)["error_kind"]),
    }))
"""


@pytest.mark.thorough
def test_it_works_in_a_thread_and_in_a_loop_and_leaves_the_callers_ray_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/a.jpg\n", "utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "exit_codes": [0, 0],
        "rows": [1, 1],
        "is_same_ray": True,
        "namespace": "mine",
        "frame": ["forbidden_address"],
    }
