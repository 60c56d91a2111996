"""`image_verification`: reads every stored image and checks it against its columns.

1. `hashsum_resized` is the MD5 of the stored bytes.
2. They decode to a picture of `resized_size`.
3. `hashsum_original` is an MD5, and equals `hashsum_resized` if the bytes were stored as received.
4. `original_size` has two positive sides, neither smaller than that of `resized_size` (padding aside).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from ray_downloader.image import ImageError
from ray_downloader.image.stored import StoredImage, pixels_of
from ray_downloader.tools.base import TOOLS, Step, Unit, unit_of_each_batch
from ray_downloader.tools.dropping import ROW_COLUMNS, DroppingTool
from ray_downloader.tools.rows import PART, Chunk, chunks_of, gather_parts, write_rows

_PARTS = "corrupted"
_COLUMNS = (*ROW_COLUMNS, "error")
_MD5 = re.compile("[0-9a-f]{32}")


@TOOLS.register("image_verification")
class ImageVerification(DroppingTool):
    """Finds rows whose image does not match its columns."""

    def work(self) -> Step:
        """One unit per batch."""
        image = self.context.settings.image
        return Step(
            partial(_verify_batch, image.encode == "original", image.resize == "border"),
            unit_of_each_batch(self.context, _PARTS, {"encode": image.encode, "resize": image.resize}),
        )

    def name_rows(self) -> Mapping[str, Any]:
        """Gather what the units found."""
        folders = [self.context.folder / _PARTS / batch.place for batch in self.context.batches]
        return {"corrupted": gather_parts(folders, self.rows_file, _COLUMNS)}


def _verify_batch(is_original: bool, is_padded: bool, unit: Unit) -> Counter[str]:
    batch = unit.batches[0]
    counts: Counter[str] = Counter()
    found: list[tuple[object, ...]] = []
    for chunk in chunks_of(batch.path):
        uuids, source_ids = chunk.texts("uuid", ""), chunk.texts("source_id", "")
        counts["images"] += len(uuids)
        for index, error in enumerate(_errors(chunk, is_original, is_padded)):
            if error:
                place = (batch.server_name, batch.partition_id, chunk.start + index)
                found.append((uuids[index], source_ids[index], *place, error))
    write_rows(unit.folder / PART, _COLUMNS, found)
    return counts


def _errors(chunk: Chunk, is_original: bool, is_padded: bool) -> list[str]:
    """What is wrong with each row; "" if it is sound."""
    resized, original = chunk.texts("hashsum_resized", ""), chunk.texts("hashsum_original", "")
    sizes = chunk.rows.column("original_size").to_pylist()
    return [
        _content_error(image, resized[index])
        or _hash_error(resized[index], original[index], is_original)
        or _size_error(image, sizes[index], is_padded)
        for index, image in enumerate(chunk.images())
    ]


def _content_error(stored: StoredImage, hashsum: str) -> str:
    if hashlib.md5(stored.image, usedforsecurity=False).hexdigest() != hashsum:
        return "hashsum_resized is not the MD5 of the image"
    try:
        height, width = pixels_of(stored).shape[:2]
    except ImageError as error:
        return f"not readable: {error}"
    if (height, width) != stored.size:
        return f"the image is {height} x {width}, resized_size says {stored.size[0]} x {stored.size[1]}"
    return ""


def _hash_error(resized: str, original: str, is_original: bool) -> str:
    if not _MD5.fullmatch(original):
        return "hashsum_original is not an MD5"
    return "hashsum_original is not the MD5 of the image" if is_original and original != resized else ""


def _size_error(stored: StoredImage, original: list[int] | None, is_padded: bool) -> str:
    if not original or len(original) != 2 or min(original) < 1:
        return f"original_size is {original}, not two positive numbers"
    if not is_padded and (original[0] < stored.size[0] or original[1] < stored.size[1]):
        return f"original_size {original} is smaller than resized_size {list(stored.size)}"
    return ""
