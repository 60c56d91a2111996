"""One time slice as a Ray task: builds a worker from the run folder, lets it work, returns its report."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from ray_downloader import image
from ray_downloader.cluster.budget_actor import RayBudgets
from ray_downloader.cluster.placement import Directory
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.fetch.signature import signing
from ray_downloader.logs import log_to_file
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition.batches import Batch
from ray_downloader.politeness.headers.user_agent import user_agent
from ray_downloader.run_folder.base_runs import stored_columns
from ray_downloader.run_folder.identity import picture_note
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.spill import Body
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.loop import MAX_IN_FLIGHT, Worker
from ray_downloader.worker.ports import Ports, SliceReport, TimeSlice
from ray_downloader.worker.robots_gate import RobotsGate
from ray_downloader.worker.robots_store import RobotsStore
from ray_downloader.worker.run_context import RunContext

#: A worker without bodies: 190 MB with its imports, 128 for a picture, 18 for the journals.
OWN_MB = 336
LEAST_BODY_MB = 16


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Slice:
    """The input of a task.

    Args:
        settings_file: Identifies the run; everything else is read from its folder.
        directory: The server actors.
        items: Batches to work on.
        time_slice: Its length, and the unique name under which it holds leases.
        secrets: Environment variables with secrets, which are in no file, for nodes without the driver's environment.
    """

    settings_file: Path
    directory: Directory[Any]
    items: Sequence[WorkItem]
    time_slice: TimeSlice
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@lru_cache(maxsize=1)
def _context(settings_file: Path, _written_at_ns: int) -> RunContext:
    return RunContext.load(settings_file)


@ray.remote(max_retries=0)
def work_slice(work: Slice | None) -> SliceReport | None:
    """Work on the batches until they are settled or the slice has ended; without a slice, only get ready for one."""
    if work is None:
        _import_everything()
        return None
    return _work(work)


def slice_task(cpus: float, name: str) -> Any:
    """`work_slice`, with what all calls have in common: for half a second, a worker only takes a task like its last.

    Args:
        cpus: CPUs of each slice.
        name: The task's name on the dashboard.
    """
    return work_slice.options(num_cpus=cpus, name=name, scheduling_strategy="SPREAD")


def _import_everything() -> None:
    """Import what else a slice does, before the clock of the download starts.

    The first array of Python values makes pyarrow import pandas if it is installed: 0.25 to 1.4 s in which the worker
    loop would stand still, at its first flush.
    """
    pa.array([""])


def _work(work: Slice) -> SliceReport:
    os.environ.update(work.secrets)
    context = _context(work.settings_file, work.settings_file.stat().st_mtime_ns)
    settings = context.settings
    holder = work.time_slice.holder
    log_to_file(context.layout.logs, "worker", settings.downloader_parameters.logger_level, settings.logging.format)
    _log.info("%s: %d batches, first %s", holder, len(work.items), _name_of(work.items[0].batch))
    pa.set_cpu_count(1)
    options = BatchOptions(context.retry, stored_columns(settings), len(work.items), picture_note(settings))
    batches = [BatchWork(context.layout, item, holder, options) for item in work.items]
    budgets = RayBudgets(work.directory)
    make_fetcher = signing(FETCHERS.get(settings.fetcher.name), settings.politeness)
    agent = user_agent(settings.politeness.contact, settings.politeness.info_url)
    # A separate fetcher for each slice, so that no idle connection stays open to a server that another task takes over.
    room = BodyRoom(body_bytes(settings.cluster.worker_memory_mb), Path(settings.cluster.scratch))
    with closing(make_fetcher(settings.network, agent, MAX_IN_FLIGHT, room)) as fetcher:
        ports = Ports(
            fetcher=fetcher,
            budgets=budgets,
            process=partial(process, image.ImageOptions.of(settings)),
            rng=random.Random(holder),
            room=room,
        )
        robots = RobotsGate(
            settings.politeness.robots,
            RobotsStore(context.layout.robots, time.time()),
            is_strict=settings.politeness.opt_out == "strict",
        )
        report = Worker(batches, context.requests, robots, ports, work.time_slice).run()
    budgets.flush(timeout_s=2.0)
    for batch, counts in report.finished:
        kinds = counts.by_kind
        _log.info("%s: finished, %d images, %d errors", _name_of(batch), kinds[SUCCESS], kinds.total() - kinds[SUCCESS])
    return report


def _name_of(batch: Batch) -> str:
    return f"{batch.server_name} {batch.partition_id}"


def process(
    options: image.ImageOptions, body: Body, is_complete: bool, is_suspect: bool
) -> image.ProcessedImage | Future[image.ProcessedImage]:
    """Decode a body here, or in the decoder process."""
    return image.start(body, options, complete=is_complete, isolated=is_suspect)


def body_bytes(worker_memory_mb: int) -> int:
    """What the bodies of a worker may use of its memory."""
    return max(LEAST_BODY_MB, worker_memory_mb - OWN_MB) * 2**20
