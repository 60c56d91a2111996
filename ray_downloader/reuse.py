"""What earlier runs have (`base=`): found after the partition, and taken before the download.

The driver takes it, in as many threads as it has cores, batch by batch. A batch of which they have every row is
published at once. All of it can be repeated after a kill at any point.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.machine import usable_cpus
from ray_downloader.output.batch_folder import BatchFolder
from ray_downloader.output.journal import HELD
from ray_downloader.output.reused import TAKEN, Taken, Taking, take
from ray_downloader.partition.base_links import first_rows, links_of
from ray_downloader.partition.batches import Batch, load_batches, read_batch
from ray_downloader.profile.table import load_rows, save_rows
from ray_downloader.progress import shown as show_units
from ray_downloader.run_folder.base_runs import BasePlan, base_layouts, load_base_plan, mark_taken, stored_columns
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.markers import find_marker
from ray_downloader.run_folder.retry_order import RetryOrder
from ray_downloader.tools.publish import applied_tools

_log = logging.getLogger(__name__)


def require_base(settings: Settings, layout: RunLayout) -> None:
    """Check the earlier runs, unless everything was taken from them before.

    Raises:
        UserError: One of them cannot be used.
    """
    if settings.refetch and not settings.base:
        raise UserError(f"refetch={settings.refetch} is about the pictures of base: name an earlier run with base=...")
    plan = load_base_plan(layout)
    if settings.reset is None and plan is not None and plan.is_taken and plan.is_for(settings, layout):
        return
    _bases(settings)


def _bases(settings: Settings) -> list[RunLayout]:
    bases = base_layouts(settings)
    for base in bases:
        applied = applied_tools(base.tools)
        if applied:
            raise UserError(
                f"base={base.root}: results of tools replace its images ({', '.join(applied)}); restore them with "
                "tools_parameters.undo=true, or leave base out"
            )
    return bases


def find_base_rows(settings: Settings, layout: RunLayout) -> BasePlan | None:
    """Find out what earlier runs have, unless that is known; None without `base`."""
    plan = load_base_plan(layout)
    if not settings.base:
        if plan is not None and not plan.is_taken:
            _log.warning("base was given before and is not now: what was not taken yet from %s is fetched",
                         ", ".join(plan.runs))  # fmt: skip
        return None
    if plan is None or not plan.is_for(settings, layout):
        from ray_downloader.partition.base_rows import plan_base  # noqa: PLC0415 - loads DuckDB

        bases = _bases(settings)
        plan = plan_base(settings, layout, bases)
        _log.info(
            "base: earlier runs have %d of %d rows", plan.total, sum(batch.rows for batch in load_batches(layout))
        )
        if plan.vanished:
            _log.info("base: %d of their rows are not in the list any more; they are in %s", plan.vanished,
                      layout.vanished_file)  # fmt: skip
        _adopt_profiles(layout, bases)
    return plan


def _adopt_profiles(layout: RunLayout, bases: list[RunLayout]) -> None:
    """Begin with what earlier runs learned about the servers: no server is probed for pictures that we have."""
    names = set(pq.read_table(layout.servers_table, columns=["server_name"])["server_name"].to_pylist())
    rows = {name: row for base in reversed(bases) for name, row in load_rows(base).items() if name in names}
    if rows:
        save_rows(layout, {**rows, **load_rows(layout)}.values())


def take_base(settings: Settings, layout: RunLayout, retry: RetryOrder, console: Console) -> None:
    """Copy the pictures that earlier runs have, and publish the batches that are complete then."""
    plan = load_base_plan(layout)
    if not settings.base or plan is None or plan.is_taken:
        return
    work = list(_work(layout, plan))
    taking = _Batches(settings, layout, plan, retry)
    rows = 0
    problems: dict[str, None] = {}
    with ThreadPoolExecutor(usable_cpus(), thread_name_prefix="base") as threads:
        for taken in show_units(threads.map(taking.take, work), "base", len(work), 0, console):
            rows += taken.rows
            problems.update(dict.fromkeys(taken.problems))
    for problem in problems:
        _log.warning("base: %s; they are fetched", problem)
    mark_taken(layout, plan)
    _log.info("base: %d pictures %s", rows, "are asked about" if settings.refetch else "taken")


def _work(layout: RunLayout, plan: BasePlan) -> Iterator[tuple[Batch, int]]:
    """Batches that are not finished and have not taken anything yet, each with its first row."""
    batches = load_batches(layout)
    for batch, first in zip(batches, first_rows(batches), strict=True):
        folder = layout.batch_folder(batch.server_name, batch.partition_id)
        if find_marker(folder) is None and not (folder / TAKEN).exists() and plan.total:
            yield batch, first


class _Batches:
    """Takes what belongs to batches; called from several threads."""

    def __init__(self, settings: Settings, layout: RunLayout, plan: BasePlan, retry: RetryOrder) -> None:
        self._layout, self._retry = layout, retry
        self._is_held = settings.refetch is not None
        self._extra_columns = stored_columns(settings)
        self._files = [Path(settings.base[run]) / path for run, path in plan.files]

    def take(self, work: tuple[Batch, int]) -> Taken:
        batch, first = work
        folder = self._layout.batch_folder(batch.server_name, batch.partition_id)
        held = folder / HELD
        if held.exists() and not self._is_held:  # `refetch` was given before, and is not now
            held.unlink()
        elif held.exists():
            return Taken(0)
        links = links_of(self._layout, first, batch.rows)
        if not links.num_rows:
            return Taken(0)
        inputs = read_batch(self._layout, batch)
        taken = take(folder, inputs, Taking(links, self._files, self._extra_columns, self._is_held))
        if taken.rows == batch.rows and not self._is_held:
            self._publish(folder, inputs)
        return taken

    def _publish(self, folder: Path, inputs: pa.Table) -> None:
        BatchFolder(folder, self._retry).publish(inputs, self._extra_columns)
