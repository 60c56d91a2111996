"""`resize`: makes a smaller set of the stored images, with the longer side at most `new_resize_size`; never enlarged.

Images keep their format unless the configuration names one. Those that cannot be read are left out and listed in
`failed.csv`; the original stays where it is, and `undo` restores it after `apply`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.image import ImageError, ImageOptions, ProcessedImage
from ray_downloader.image.stored import StoredImage, reprocess
from ray_downloader.output.parquet import write_parquet
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import SUCCESSES
from ray_downloader.run_folder.schemas import RAW
from ray_downloader.tools.base import TOOLS, Step, Tool, Unit, unit_of_each_batch
from ray_downloader.tools.dropping import IMAGES
from ray_downloader.tools.rows import PART, Chunk, chunks_of, gather_parts, write_rows

#: Formats that stay what they are; others, such as GIF, become the format that the run stores.
_KEPT_FORMATS = frozenset({"jpeg", "png", "webp", RAW})
_FAILED_COLUMNS = ("uuid", "server_name", "partition_id", "row", "error")


@TOOLS.register("resize")
class Resize(Tool):
    """A second image set below `tools/resize/images`."""

    def work(self) -> Step:
        """One unit per batch."""
        size = self.context.parameters.new_resize_size
        options = replace(ImageOptions.of(self.context.settings), image_size=size, extra_columns=())
        if options.encode == "original":
            options = replace(options, encode="jpeg")
        keeps_format = not self.context.is_format_given
        parameters = {"options": options, "keeps_format": keeps_format}
        units = unit_of_each_batch(self.context, IMAGES, parameters)
        return Step(partial(resize_batch, options, keeps_format), units)

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Gather what failed."""
        folders = [self.context.folder / IMAGES / batch.place for batch in self.context.batches]
        failed = gather_parts(folders, self.context.folder / "failed.csv", _FAILED_COLUMNS)
        return {"new_resize_size": self.context.parameters.new_resize_size, **counts, "failed": failed}

    def staged(self) -> None:
        """Nothing is left to do: the results themselves are what `apply` publishes."""


@dataclass
class _Resizer:
    """Resizes one batch and keeps a list of what it could not read."""

    unit: Unit
    options: ImageOptions
    keeps_format: bool
    failed: list[tuple[object, ...]] = field(default_factory=list)
    images: int = 0

    @cached_property
    def schema(self) -> pa.Schema:
        """The file's own; a legacy file gains the column `image_format` where its images are no longer raw."""
        schema = pq.read_schema(self.unit.batches[0].path).remove_metadata()
        if "image_format" in schema.names or self.keeps_format or self.options.encode == RAW:
            return schema
        return schema.append(pa.field("image_format", pa.string()))

    def chunks(self) -> Iterator[pa.RecordBatch]:
        """The resized rows."""
        for chunk in chunks_of(self.unit.batches[0].path):
            done = self._done(chunk)
            self.images += len(done)
            if done:
                yield _with_images(chunk, done, self.schema)

    def _done(self, chunk: Chunk) -> dict[int, ProcessedImage]:
        batch = self.unit.batches[0]
        done: dict[int, ProcessedImage] = {}
        uuids = chunk.texts("uuid", "")
        for index, stored in enumerate(chunk.images()):
            try:
                done[index] = reprocess(stored, self._options_for(stored))
            except ImageError as error:
                place = (batch.server_name, batch.partition_id, chunk.start + index)
                self.failed.append((uuids[index], *place, str(error)))
        return done

    def _options_for(self, stored: StoredImage) -> ImageOptions:
        kept = self.keeps_format and stored.image_format in _KEPT_FORMATS
        return replace(self.options, encode=stored.image_format) if kept else self.options


def resize_batch(options: ImageOptions, keeps_format: bool, unit: Unit) -> Counter[str]:
    """Do one unit.

    Args:
        options: How images are resized and stored.
        keeps_format: Whether images keep their format, whatever the options say.
        unit: One batch, and where its results go.
    """
    resizer = _Resizer(unit, options, keeps_format)
    with replacing(unit.folder / SUCCESSES) as temp:
        write_parquet(temp, resizer.schema, resizer.chunks())
    write_rows(unit.folder / PART, _FAILED_COLUMNS, resizer.failed)
    return Counter(images=resizer.images)


def _with_images(chunk: Chunk, done: Mapping[int, ProcessedImage], schema: pa.Schema) -> pa.RecordBatch:
    images = list(done.values())
    new = {
        "image": [image.image for image in images],
        "image_format": [image.image_format for image in images],
        "hashsum_resized": [image.hashsum_resized for image in images],
        "resized_size": [list(image.resized_size) for image in images],
    }
    kept = pa.array(list(done), pa.int64())  # taken from each column that stays, so that old images are not copied
    columns = [
        pa.array(new[field.name], field.type) if field.name in new else chunk.rows.column(field.name).take(kept)
        for field in schema
    ]
    return pa.record_batch(columns, schema=schema)
