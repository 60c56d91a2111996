"""A worker as a Ray task runs it, without Ray.

`python -m tests.support.attacked_worker FOLDER ADDRESS FETCHER ENCODE URL...`

Prints one JSON line: the kinds in which the rows ended, and the most memory that it and its decoder process used.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from ray_downloader import image
from ray_downloader.cluster import slices
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.partition.batches import load_batches
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.budgets import Budgets
from ray_downloader.worker.loop import MAX_IN_FLIGHT, Worker
from ray_downloader.worker.ports import Ports, TimeSlice
from ray_downloader.worker.request_policy import RequestPolicy
from ray_downloader.worker.robots_gate import RobotsGate
from ray_downloader.worker.robots_store import RobotsStore
from tests.support.local_budgets import LocalBudgets
from tests.support.partitioned import partitioned_run


class MemoryWatch(threading.Thread):
    """Samples the memory of this process and its children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_bytes = Counter[str]()
        self._ended = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(0.02):
            own, children = me.memory_info().rss, 0
            for child in me.children():
                try:
                    children += child.memory_info().rss
                except psutil.Error:
                    continue
            found = {"worker": own, "decoder": children, "both": own + children}
            self.most_bytes |= Counter(found)

    def end(self) -> None:
        self._ended.set()
        self.join()


def main(folder: Path, address: str, fetcher_name: str, encode: str, urls: list[str]) -> None:
    settings, layout = partitioned_run(
        folder,
        urls,
        politeness={"robots": "ignore", "max_rate_limit": 200.0, "max_connections": 20, "adaptive": False},
        downloader_parameters={"default_rate_limit": 200.0, "rate_multiplier": 0.0},
        image={"encode": encode},
        network={"connect_to": {"*:80": address}, "max_attempts": 1},
    )
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, {})
    work = [WorkItem(batch, batch.rows) for batch in load_batches(layout)]
    room = BodyRoom(slices.body_bytes(settings.cluster.worker_memory_mb), folder)
    watch = MemoryWatch()
    watch.start()
    with closing(FETCHERS.get(fetcher_name)(settings.network, "test", MAX_IN_FLIGHT, room)) as fetcher:
        budgets = LocalBudgets(Budgets(policies, rng=random.Random(1)))
        process = partial(slices.process, image.ImageOptions.of(settings))
        batches = [BatchWork(layout, item, "task", BatchOptions()) for item in work]
        robots = RobotsGate("ignore", RobotsStore(layout.robots, 0.0))
        worker = Worker(
            batches,
            RequestPolicy(settings, policies, ()),
            robots,
            Ports(fetcher, budgets, process, room=room),
            TimeSlice("task", 600.0),
        )
        worker.run()
    watch.end()
    kinds: dict[str, dict[str, int]] = {}
    for name in (SUCCESSES, ERRORS):
        for file in layout.images.glob(f"*/*/{name}"):
            for row in pq.read_table(file).to_pylist():
                attack = row["identifier"].split("/")[3]
                kind = row.get("error_kind") or "success"
                found = kinds.setdefault(attack, {})
                found[kind] = found.get(kind, 0) + 1
    most = {name: round(size / 2**20) for name, size in watch.most_bytes.items()}
    left = [room.in_memory_bytes, room.on_scratch_bytes]
    sys.stdout.write(json.dumps({"kinds": kinds, "most_mb": most, "left": left}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5], sys.argv[5:])
