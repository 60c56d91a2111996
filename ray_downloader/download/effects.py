"""What the worker loop acts through, what it is given and what it reports; and a fetched image as a record."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ray_downloader.download.budgets import BudgetClient
from ray_downloader.download.open_batch import Job
from ray_downloader.fetch.base import Fetcher, FetchResult
from ray_downloader.image import ProcessedImage
from ray_downloader.output.batch_folder import BatchCounts
from ray_downloader.partition.batches import Batch
from ray_downloader.records import ImageRecord
from ray_downloader.schedule.planner import Unfinished


@dataclass(slots=True)
class SliceReport:
    """What came of one time slice."""

    finished: list[tuple[Batch, BatchCounts]] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    requests: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Effects:
    """What the loop acts through; a test hands in its own."""

    fetcher: Fetcher
    budgets: BudgetClient
    #: Body, whether it is known to be whole, whether to decode it apart.
    process: Callable[[bytes, bool, bool], ProcessedImage]
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
    rng: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True, slots=True)
class TimeSlice:
    """One task's turn.

    Args:
        holder: Unique name of this task attempt.
        seconds: When to stop starting requests.
    """

    holder: str
    seconds: float


def image_record(job: Job, result: FetchResult, image: ProcessedImage, at: datetime) -> ImageRecord:
    """A processed image as a row of `successes.parquet`."""
    return ImageRecord(
        hashsum_original=image.hashsum_original,
        hashsum_resized=image.hashsum_resized,
        original_size=image.original_size,
        resized_size=image.resized_size,
        image=image.image,
        image_format=image.image_format,
        original_format=image.original_format,
        retry_count=job.attempt - 1,
        final_url=job.route.url,
        etag=result.headers.get("etag"),
        last_modified=result.headers.get("last-modified"),
        fetched_at=at,
        extra=image.extra,
    )


def is_complete(result: FetchResult) -> bool:
    """Whether the body is known to be whole: the transport marks its end, and the fetcher saw it come."""
    marks_end = {"content-length", "transfer-encoding"} & result.headers.keys()
    return bool(marks_end) or result.http_version not in {None, "1.0", "1.1"}
