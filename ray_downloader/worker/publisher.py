"""Publishes finished batches beside the worker loop, which continues with the network in the meantime.

Writing parquet is Arrow's own code without the interpreter lock, so one thread for it costs the loop next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future

from ray_downloader.output.batch_folder import BatchCounts
from ray_downloader.partition.batches import Batch
from ray_downloader.worker.batch_work import BatchWork


class Publisher:
    """Turns settled batches into parquet, one after the other.

    Args:
        batches: Batches that were settled before the task began: an earlier task was killed before it published them.
        executor: Creates the executor that writes.
    """

    def __init__(self, batches: Iterable[BatchWork], executor: Callable[[], Executor]) -> None:
        self._thread = executor()
        self._futures: list[tuple[Batch, Future[BatchCounts]]] = []
        for batch in batches:
            self.publish(batch)

    def publish(self, batch: BatchWork) -> None:
        """Queue a batch all of whose rows are settled."""
        self._futures.append((batch.batch, self._thread.submit(batch.publish)))

    def finish(self) -> list[tuple[Batch, BatchCounts]]:
        """Wait for all batches; returns each with its counts.

        Raises:
            OSError: A batch could not be written; its journal is still there.
        """
        with self._thread:
            return [(batch, future.result()) for batch, future in self._futures]
