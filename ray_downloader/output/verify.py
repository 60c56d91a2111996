"""`verify=true`: every byte of finished batches is compared with what was written.

A batch with damage loses its marker. So the next scan reads it with care, and its damaged rows are fetched again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ray_downloader.machine import usable_cpus
from ray_downloader.output.batch_folder import BatchFolder


def verify(folders: Iterable[Path]) -> Iterator[list[str]]:
    """Check batch folders, several at once: hashing and reading parquet leave the interpreter to others.

    Returns:
        For each folder, sentences about what is wrong with it.
    """
    with ThreadPoolExecutor(usable_cpus(), thread_name_prefix="verify") as threads:
        yield from threads.map(lambda folder: BatchFolder(folder).verify(), folders)
