"""A fetched and processed image as a row of `successes.parquet`."""

from __future__ import annotations

from datetime import datetime

from ray_downloader.fetch.base import FetchResult
from ray_downloader.image import ProcessedImage
from ray_downloader.partition.server_key import without_user_info
from ray_downloader.politeness.headers.usage import Usage, usage_of_headers
from ray_downloader.politeness.headers.user_agent import PRODUCT_TOKEN
from ray_downloader.run_folder.schemas import ImageRecord
from ray_downloader.worker.row import Row


def image_record(
    row: Row,
    result: FetchResult,
    image: ProcessedImage,
    at: datetime,
    usage: Usage = Usage(),  # noqa: B008 (frozen)
) -> ImageRecord:
    """A processed image as a row of `successes.parquet`.

    Args:
        usage: What robots.txt states about uses of the file; the headers of the answer are added.
    """
    rendition = row.rendition if row.rendition and row.url == row.rendition.url else None
    return ImageRecord(
        hashsum_original=image.hashsum_original,
        hashsum_resized=image.hashsum_resized,
        original_size=image.original_size,
        resized_size=image.resized_size,
        image=image.image,
        image_format=image.image_format,
        original_format=image.original_format,
        retry_count=row.attempt - 1,
        final_url=without_user_info(row.route.url if row.route else row.url),
        etag=result.headers.get("etag"),
        last_modified=result.headers.get("last-modified"),
        fetched_at=at,
        rendition=rendition.name if rendition else None,
        requested_url=rendition.url if rendition else None,
        usage=(usage_of_headers(result.headers, PRODUCT_TOKEN) + usage).text,
        extra=image.extra,
    )


def is_complete(result: FetchResult) -> bool:
    """Whether the body is known to be complete: the transport marks its end, and the fetcher saw it."""
    marks_end = {"content-length", "transfer-encoding"} & result.headers.keys()
    return bool(marks_end) or result.http_version not in {None, "1.0", "1.1"}
