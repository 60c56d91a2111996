"""Partition: the rows of a list become batches by server, below `urls/`.

The work is in `run.py`, which loads DuckDB; workers read `batches.py` and must not pay for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ray_downloader.config.settings import Settings
from ray_downloader.partition.summary import PartitionSummary, load_partition_summary
from ray_downloader.run_folder.layout import RunLayout

__all__ = ["PartitionSummary", "load_partition_summary", "partition"]

FirstUrlsCheck = Callable[[Callable[[], Iterable[str]]], None]


def partition(
    settings: Settings,
    layout: RunLayout,
    report: Callable[[str], None] = lambda _: None,
    check_first: FirstUrlsCheck = lambda _: None,
) -> PartitionSummary:
    """Write `urls/` for the list that the settings name; `batches.parquet` comes last.

    Args:
        settings: What to read, and how.
        layout: The run folder.
        report: Called with a sentence about each thing worth knowing.
        check_first: Called before the work with a function that reads the first URLs of the list; may raise.

    Raises:
        UserError: The input cannot be read, or none of its rows can be downloaded.
    """
    from ray_downloader.partition.run import run_partition  # noqa: PLC0415 - loads DuckDB

    return run_partition(settings, layout, report, check_first)
