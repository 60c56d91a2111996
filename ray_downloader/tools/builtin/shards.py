"""For `export`: writes one shard: a tar for WebDataset, a parquet file for `datasets`, or a folder of images."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from ray_downloader.image import ImageError, ImageOptions
from ray_downloader.image.stored import StoredImage, reprocess
from ray_downloader.output.parquet import write_parquet
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.schemas import RAW
from ray_downloader.tools.base import Unit
from ray_downloader.tools.rows import chunks_of

#: Path of shard number `shard` of `shards`, by form.
NAMES = {
    "webdataset": "shards/{shard:06d}.tar",
    "parquet": "data/train-{shard:05d}-of-{shards:05d}.parquet",
    "imagefolder": "train/{shard:06d}",
}
#: Columns that accompany each picture, where the file has them.
_COLUMNS = (
    "uuid", "source_id", "identifier", "license", "source", "title", "is_license_full", "hashsum_original",
    "original_size", "resized_size", "final_url",
)  # fmt: skip
#: Formats whose usual file extension is not their name.
_ENDINGS = {"jpeg": "jpg"}
_PNG = ImageOptions(encode="png", resize="none")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: a unique name, its bytes, and its columns."""

    key: str
    ending: str
    image: bytes
    columns: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.key}.{self.ending}"


def write_shard(form: str, unit: Unit) -> Counter[str]:
    """Write the shard `unit.payload`. Rows with equal uuids, which were equal in the list, become one picture."""
    counts: Counter[str] = Counter()
    _WRITERS[form](unit.payload, _counted(_samples(unit, counts), counts))
    return counts


def _counted(samples: Iterator[Sample], counts: Counter[str]) -> Iterator[Sample]:
    seen: set[str] = set()
    for sample in samples:
        kind = "repeated_uuids" if sample.key in seen else "images"
        counts[kind] += 1
        if sample.key not in seen:
            seen.add(sample.key)
            yield sample


def _samples(unit: Unit, counts: Counter[str]) -> Iterator[Sample]:
    for batch in unit.batches:
        for chunk in chunks_of(batch.path):
            there = [name for name in _COLUMNS if name in chunk.rows.schema.names]
            for columns, stored in zip(chunk.rows.select(there).to_pylist(), chunk.images(), strict=True):
                try:
                    image = _encoded(stored)
                except ImageError:
                    counts["not_readable"] += 1
                    continue
                # WebDataset ends a key at the first dot.
                key = quote(str(columns["uuid"]), safe="").replace(".", "%2E")
                ending = _ENDINGS.get(image.image_format, image.image_format)
                yield Sample(key, ending, image.image, columns)


def _encoded(stored: StoredImage) -> StoredImage:
    if stored.image_format != RAW:
        return stored
    made = reprocess(stored, _PNG)
    return StoredImage(made.image, made.image_format, made.resized_size)


def _write_tar(target: Path, samples: Iterator[Sample]) -> None:
    with replacing(target) as temp, tarfile.open(temp, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            for name, data in ((sample.name, sample.image), (f"{sample.key}.json", _json(sample))):
                member = tarfile.TarInfo(name)  # without time and owner, so that equal images make equal shards
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _json(sample: Sample) -> bytes:
    return json.dumps(sample.columns, ensure_ascii=False, default=str).encode()


def _write_parquet(target: Path, samples: Iterator[Sample]) -> None:
    texts = [name for name in _COLUMNS if not name.endswith("_size") and name != "is_license_full"]
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), *((name, pa.string()) for name in texts)])
    with replacing(target) as temp:
        write_parquet(temp, schema, (_record_batch(rows, schema) for rows in _grouped(samples)))


def _record_batch(samples: Sequence[Sample], schema: pa.Schema) -> pa.RecordBatch:
    pictures = [{"bytes": sample.image, "path": sample.name} for sample in samples]
    columns = [[sample.columns.get(name) for sample in samples] for name in schema.names[1:]]
    arrays = [pa.array(values, field.type) for values, field in zip([pictures, *columns], schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _grouped(samples: Iterator[Sample], size: int = 256) -> Iterator[list[Sample]]:
    held: list[Sample] = []
    for sample in samples:
        held.append(sample)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def _write_folder(target: Path, samples: Iterator[Sample]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with (target / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["file_name", *_COLUMNS])
        writer.writeheader()
        for sample in samples:
            (target / sample.name).write_bytes(sample.image)
            writer.writerow({"file_name": sample.name, **sample.columns})


_WRITERS: dict[str, Callable[[Path, Iterator[Sample]], None]] = {
    "webdataset": _write_tar,
    "parquet": _write_parquet,
    "imagefolder": _write_folder,
}
