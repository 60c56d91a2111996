"""What to probe: servers without a line in the table that are big enough to be worth it, grouped by budget.

A server with few rows is not probed: five requests for twenty images would be a quarter of the job, and its rows are
finished at the default rate before a better one would pay off. It gets a line with that rate and a note.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.partition.batches import Batch, load_batches, read_batch
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.assign import BudgetJobs, ProbeJob, spread_positions
from ray_downloader.profile.estimate import MAX_TRUST, RateLimits, ServerProfile
from ray_downloader.profile.table import NOT_PROBED, load_rows
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.run_folder.small_tables import read_small_table

#: A server is probed if it has at least this many rows per sample.
ROWS_PER_SAMPLE = 4


@dataclass(frozen=True, slots=True)
class Workload:
    """Servers to be probed, by budget, and the table's lines for those that are too small for it."""

    pieces: tuple[BudgetJobs, ...]
    unprobed: tuple[ServerProfile, ...]


class Rates:
    """What the operator allows each server before anything is known about it."""

    def __init__(self, settings: Settings) -> None:
        parameters = settings.downloader_parameters
        self.policies = PolicyBook(settings.politeness, parameters, {})
        self._unlimited_rps = parameters.default_rate_limit * MAX_TRUST
        trusting = parameters.model_copy(update={"default_rate_limit": self._unlimited_rps})
        self._ceilings = PolicyBook(settings.politeness, trusting, {})

    def limits(self, server: str) -> RateLimits:
        """First rate and ceiling, after the rules and `max_rate_limit`; our own servers (no limits) are trusted."""
        start_rps = self.policies.policy(server).start_rate_rps
        ceiling_rps = self._ceilings.policy(server).start_rate_rps
        return RateLimits(start_rps or self._unlimited_rps, ceiling_rps or self._unlimited_rps)


def plan_workload(settings: Settings, layout: RunLayout, ignored: Collection[str]) -> Workload:
    """Read the partition's files and the table, and plan what is missing.

    Raises:
        UserError: The partition stage has not ended in this folder.
    """
    if not layout.servers_table.is_file():
        raise UserError(f"{layout.servers_table} does not exist; run the partition stage first")
    table = read_small_table(layout.servers_table, ["server_name", "rows", "batches"])
    known = load_rows(layout)
    batches = _own_batches(layout)
    fewest = settings.profile.samples_per_server * ROWS_PER_SAMPLE
    rates = Rates(settings)
    jobs: list[ProbeJob] = []
    unprobed: list[ServerProfile] = []
    for name, rows, batch_count in zip(*(column.to_pylist() for column in table.columns), strict=True):
        if name in known or name in ignored or rates.policies.budget_key(name) in ignored:
            continue
        if rows < fewest or name not in batches:
            unprobed.append(_unprobed(name, batch_count, rates.limits(name).default_rps))
        else:
            jobs.append(ProbeJob(name, rates.policies.budget_key(name), rows, tuple(batches[name])))
    return Workload(tuple(_by_budget(jobs, rates, settings.profile.samples_per_server)), tuple(unprobed))


def sample_urls(layout: RunLayout, job: ProbeJob, count: int) -> list[str]:
    """URLs of rows that are spread over the rows of a server."""
    urls: list[str] = []
    positions = iter(spread_positions(job.rows, count))
    wanted = next(positions, None)
    first = 0
    for batch in job.batches:
        column = None
        while wanted is not None and wanted < first + batch.rows:
            column = read_batch(layout, batch)["identifier"] if column is None else column
            urls.append(column[wanted - first].as_py())
            wanted = next(positions, None)
        first += batch.rows
    return urls


def _own_batches(layout: RunLayout) -> dict[str, list[Batch]]:
    batches: dict[str, list[Batch]] = defaultdict(list)
    for batch in load_batches(layout):
        if batch.server_name != POOLED:
            batches[batch.server_name].append(batch)
    return batches


def _unprobed(name: str, batches: int, rate_rps: float) -> ServerProfile:
    return ServerProfile(name, batches, rate_limit=rate_rps, note=NOT_PROBED)


def _by_budget(jobs: list[ProbeJob], rates: Rates, samples: int) -> Iterator[BudgetJobs]:
    of_budget: dict[str, list[ProbeJob]] = defaultdict(list)
    for job in jobs:
        of_budget[job.budget_key].append(job)
    for key, members in of_budget.items():
        rate_rps = min(rates.limits(job.server_name).default_rps for job in members)
        yield BudgetJobs(key, tuple(members), rate_rps, len(members) * (samples + 1) / rate_rps)
