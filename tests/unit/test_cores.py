"""Systems that lack what Linux has: the package and its modules can still be imported."""

from __future__ import annotations

import subprocess
import sys

_AS_ELSEWHERE = """
import os, signal, sys
del os.sched_getaffinity
del signal.SIGUSR1
import ray_downloader
from ray_downloader.machine import usable_cpus
assert usable_cpus() == os.cpu_count()
import ray_downloader.status, ray_downloader.control, ray_downloader.report.__main__, ray_downloader.signals
import ray_downloader.partition, ray_downloader.tools.queries, ray_downloader.output.verify, ray_downloader.fetch
"""


def test_modules_are_imported_without_linux() -> None:
    subprocess.run([sys.executable, "-c", _AS_ELSEWHERE], check=True, timeout=120)
