"""Systems that lack what Linux has: the package and its modules can still be imported."""

from __future__ import annotations

import subprocess
import sys

_AS_ELSEWHERE = """
import os, signal, sys
del os.sched_getaffinity
del signal.SIGUSR1
sys.modules["fcntl"] = None  # Windows lacks it
import ray_downloader
from ray_downloader.machine import usable_cpus
assert usable_cpus() == os.cpu_count()
import ray_downloader.status, ray_downloader.control, ray_downloader.report.__main__, ray_downloader.signals
import ray_downloader.partition, ray_downloader.tools.queries, ray_downloader.output.verify, ray_downloader.fetch
"""


def test_modules_are_imported_without_linux() -> None:
    subprocess.run([sys.executable, "-c", _AS_ELSEWHERE], check=True, timeout=120)


def test_windows_gets_one_sentence() -> None:
    run = "import sys; sys.modules['fcntl'] = None; import ray_downloader.__main__ as it, ray_downloader.machine as m\n"
    run += "it.refuse_windows = lambda: m.refuse_windows('win32'); sys.argv[1:] = ['+experiment=demo']; it.main()"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("ray_downloader: on Windows this program runs in WSL")
    assert done.stderr.count("\n") == 1
