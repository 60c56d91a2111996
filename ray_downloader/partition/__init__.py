"""Partition: the rows of a list become batches by server, below `urls/`.

The work is in `run.py`, which loads DuckDB; workers read `batches.py` and must not pay for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.partition.summary import PartitionSummary, load_partition_summary
from ray_downloader.run_folder.layout import RunLayout

__all__ = ["DocumentReader", "PartitionSummary", "leave_unread", "load_partition_summary", "partition"]

FirstUrlsCheck = Callable[[Callable[[], Iterable[str]]], None]
#: Called with the URLs of documents and the path of a parquet file, which it writes: their pictures, in the columns of
#: `iiif_documents.IIIF_COLUMNS`, with the URL that the list names. Returns what could not be read, and why.
DocumentReader = Callable[[Sequence[str], Path], Mapping[str, str]]


def leave_unread(urls: Sequence[str], _target: Path) -> Mapping[str, str]:
    """Read no document."""
    return dict.fromkeys(urls, "it was not fetched")


def partition(
    settings: Settings,
    layout: RunLayout,
    report: Callable[[str], None] = lambda _: None,
    check_first: FirstUrlsCheck = lambda _: None,
    read_documents: DocumentReader = leave_unread,
) -> PartitionSummary:
    """Write `urls/` for the list that the settings name; `batches.parquet` comes last.

    Args:
        settings: What to read, and how.
        layout: The run folder.
        report: Called with a sentence about each thing worth knowing.
        check_first: Called before the work with a function that reads the first URLs of the list; may raise.
        read_documents: Reads the manifests that the list names instead of pictures.

    Raises:
        UserError: The input cannot be read, or none of its rows can be downloaded.
    """
    from ray_downloader.partition.run import run_partition  # noqa: PLC0415 - loads DuckDB

    return run_partition(settings, layout, report, check_first, read_documents)
