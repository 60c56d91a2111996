"""What the loop has where a test hands in nothing else."""

from __future__ import annotations

import random
import threading
import time

from ray_downloader.worker.ports import Ports, SliceReport, publishing_thread


def test_the_clocks_are_the_machines_and_chance_is_chance() -> None:
    ports = Ports(None, None, None)  # type: ignore[arg-type]  # none of them is used
    assert ports.clock is time.monotonic
    assert ports.wall_clock is time.time
    assert isinstance(ports.rng, random.Random)
    assert ports.publish is publishing_thread


def test_one_thread_publishes_and_says_so_by_its_name() -> None:
    with publishing_thread() as executor:
        waiting = [executor.submit(lambda: (time.sleep(0.01), threading.current_thread().name)[1]) for _ in range(4)]
        assert {future.result() for future in waiting} == {"publish_0"}


def test_a_report_begins_empty() -> None:
    report = SliceReport()
    assert (report.finished, report.unfinished, report.requests, report.size_bytes) == ([], [], 0, 0)
