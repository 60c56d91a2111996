"""10^6 servers with a batch each: how long planning all of them takes, and how much memory."""

from __future__ import annotations

import re
import time
from collections import deque
from pathlib import Path

from ray_downloader.partition.batches import Batch
from ray_downloader.schedule.planner import Planner, WorkItem

SLOTS = 640
RATE_RPS = 3.0
ROWS = 100


def plan_all(servers: int) -> tuple[float, float, int]:
    """Seconds, peak memory in GB and number of slices, from loading the batches until the last is assigned and done."""
    started_s = time.perf_counter()
    planner = Planner(lambda _: RATE_RPS, SLOTS, task_seconds=60.0)
    planner.add((_only_batch(number) for number in range(servers)), now_s=0.0)
    running: deque[list[WorkItem]] = deque()
    slices, now_s = 0, 0.0
    while running or planner.has_work:
        hands = planner.plan(SLOTS - len(running), now_s)
        slices += len(hands)
        running.extend(hands)
        now_s += 30.0
        for _ in range(-(-len(running) // 2)):
            planner.task_ended(item.batch for item in running.popleft())
    return time.perf_counter() - started_s, peak_memory_gb(), slices


def _only_batch(number: int) -> WorkItem:
    return WorkItem(Batch(number, f"server-{number}.example", 0, "part-0.parquet", number, ROWS, 1), ROWS)


def peak_memory_gb() -> float:
    """Of this process."""
    match = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    assert match is not None
    return int(match[1]) / 1e6
