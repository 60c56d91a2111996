"""A run whose rows have their results, without any download: what a later run with `base=` begins with."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timezone
from hashlib import md5
from pathlib import Path
from typing import Any

import pyarrow as pa

from ray_downloader.config.settings import Settings
from ray_downloader.output.batch_folder import BatchFolder, with_shown_identifiers
from ray_downloader.output.journal import Journal, Rows, read_journal
from ray_downloader.output.reused import TAKEN
from ray_downloader.partition.batches import load_batches, read_batch
from ray_downloader.run_folder.base_runs import stored_columns
from ray_downloader.run_folder.identity import RunIdentity, picture_keys, picture_note, save_identity
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.markers import find_marker
from ray_downloader.run_folder.schemas import ErrorRecord, ImageRecord
from tests.support.partitioned import partitioned_run

FETCHED_AT = datetime(2026, 5, 1, tzinfo=timezone.utc)


def picture_of(url: str) -> bytes:
    return f"the picture at {url}".encode() * 20


def image_of(url: str) -> ImageRecord:
    image = picture_of(url)
    return ImageRecord(
        hashsum_original=md5(url.encode()).hexdigest(),
        hashsum_resized=md5(image).hexdigest(),
        original_size=(300, 400),
        resized_size=(168, 224),
        image=image,
        image_format="jpeg",
        original_format="jpeg",
        retry_count=0,
        final_url=url,
        etag=f'"{md5(url.encode()).hexdigest()[:8]}"',
        last_modified="Wed, 01 Jan 2020 00:00:00 GMT",
        fetched_at=FETCHED_AT,
    )


def earlier_run(folder: Path, urls: list[str], failed: Collection[str] = (), **groups: Any) -> RunLayout:
    """A finished run of a list of URLs."""
    settings, layout = partitioned_run(folder, urls, **groups)
    finish(settings, layout, failed)
    return layout


def finish(settings: Settings, layout: RunLayout, failed: Collection[str] = ()) -> None:
    """Give every row its result, a picture that depends on its URL, as far as it has none."""
    save_identity(layout, RunIdentity(pictures=picture_keys(settings)))
    gone = ErrorRecord(0, 404, "HTTP status 404", "http_4xx", 404, None, FETCHED_AT)
    for batch in load_batches(layout):
        folder = layout.batch_folder(batch.server_name, batch.partition_id)
        if find_marker(folder):
            continue
        inputs = read_batch(layout, batch)
        shown = with_shown_identifiers(inputs)
        taken = {url for rows in _taken(folder) for url in rows.column("identifier").to_pylist()}
        with Journal(folder, "earlier", note=picture_note(settings)) as journal:
            for number, url in enumerate(inputs.column("identifier").to_pylist()):
                if url in taken:
                    continue
                rows = Rows(shown, [number], [number])
                journal.add_error(rows, gone) if url in failed else journal.add_image(rows, image_of(url))
        BatchFolder(folder).publish(inputs, stored_columns(settings))


def _taken(folder: Path) -> Iterable[pa.RecordBatch]:
    return read_journal(folder / TAKEN) if (folder / TAKEN).exists() else ()
