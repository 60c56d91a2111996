"""`verify=true`: every byte of finished batches is compared with what was written.

A batch with damage loses its marker. So the next scan reads it with care, and its damaged rows are fetched again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ray_downloader.machine import usable_cpus
from ray_downloader.output.batch_folder import BatchFolder


def verify(folders: Iterable[Path], kept: Collection[Path] = ()) -> Iterator[list[str]]:
    """Check batch folders, several at once: hashing and reading parquet leave the interpreter to others.

    Args:
        folders: The batches.
        kept: Those that keep their marker, as what they have lost is not to be fetched.

    Returns:
        For each folder, sentences about what is wrong with it.
    """
    with ThreadPoolExecutor(usable_cpus(), thread_name_prefix="verify") as threads:
        yield from threads.map(lambda folder: _check(BatchFolder(folder), folder in kept), folders)


def _check(batch: BatchFolder, is_kept: bool) -> list[str]:
    return batch.damage() if is_kept else batch.verify()
