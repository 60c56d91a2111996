"""What is settled and what is left of a run, read from its folder alone: markers, or journals if there is no marker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ray_downloader.output.batch_folder import BatchCounts, BatchFolder
from ray_downloader.partition.batches import Batch, read_batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import NO_RETRY, RetryOrder
from ray_downloader.schedule.planner import WorkItem


@dataclass(slots=True)
class RunStatus:
    """How far a run has come.

    Args:
        settled: Rows by server, and for each by error kind or `SUCCESS`.
        work: Batches with rows to settle or to publish.
        rows_left: Rows to settle, by server name of the batch (`POOLED` for the small ones).
        checksums: Checksum counts of finished batches, as in `BatchCounts.checksums`.
        reused: Images of earlier runs in finished batches, as in `BatchCounts.reused`.
        problems: What is wrong with finished batches, in sentences; their lost rows are left to do.
    """

    settled: dict[str, Counter[str]] = field(default_factory=dict)
    work: list[WorkItem] = field(default_factory=list)
    rows_left: Counter[str] = field(default_factory=Counter)
    checksums: Counter[str] = field(default_factory=Counter)
    reused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def by_kind(self) -> Counter[str]:
        """Settled rows of all servers, by error kind or `SUCCESS`."""
        total: Counter[str] = Counter()
        for kinds in self.settled.values():
            total.update(kinds)
        return total

    @property
    def settled_rows(self) -> int:
        """Rows that need nothing more."""
        return self.by_kind.total()

    def add(self, counts: BatchCounts) -> None:
        """Count a batch's settled rows."""
        for server, kinds in counts.servers.items():
            self.settled.setdefault(server, Counter()).update(kinds)
        self.checksums.update(counts.checksums)
        self.reused.update(counts.reused)


def scan(layout: RunLayout, batches: Iterable[Batch], retry: RetryOrder = NO_RETRY) -> RunStatus:
    """Read how far the run has come.

    Args:
        retry: Rows that it orders to be retried, and that have not been since, count as left to do.
    """
    status = RunStatus()
    for batch in batches:
        folder = BatchFolder(layout.batch_folder(batch.server_name, batch.partition_id), retry)
        counts = folder.final_counts()
        is_of_batch = counts is None or counts.by_kind.total() == batch.rows
        if counts is None or not is_of_batch:
            status.problems += folder.problems() if is_of_batch else [f"the marker of {folder.path} is not its own"]
            counts = _counts_so_far(layout, batch, folder)
            left = batch.rows - counts.by_kind.total()
            status.work.append(WorkItem(batch, left))
            status.rows_left[batch.server_name] += left
        status.add(counts)
    return status


def _counts_so_far(layout: RunLayout, batch: Batch, folder: BatchFolder) -> BatchCounts:
    if not folder.path.exists():
        return BatchCounts()
    inputs = read_batch(layout, batch)
    return BatchCounts.of(inputs.column("server_name").to_pylist(), folder.settled(inputs))
