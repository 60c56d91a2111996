"""For `export`: writes one shard: a tar, parquet for `datasets`, a folder of images, or a part of a Lance dataset."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.image import ImageError, ImageOptions
from ray_downloader.image.stored import StoredImage, reprocess
from ray_downloader.output.parquet import write_parquet
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.schemas import RAW, SUCCESS_SCHEMA
from ray_downloader.tools.base import Unit
from ray_downloader.tools.builtin.lance_dataset import write_fragments
from ray_downloader.tools.context import StoredBatch
from ray_downloader.tools.rows import CHUNK_ROWS, Chunk

#: Path of shard number `shard` of `shards`, by form.
NAMES = {
    "webdataset": "shards/{shard:06d}.tar",
    "parquet": "data/train-{shard:05d}-of-{shards:05d}.parquet",
    "imagefolder": "train/{shard:06d}",
    "lance": "fragments/{shard:06d}.json",
}
#: Columns that accompany each picture, where the file has them.
_COLUMNS = (
    "uuid", "source_id", "identifier", "license", "source", "title", "is_license_full", "hashsum_original",
    "original_size", "resized_size", "final_url",
)  # fmt: skip
#: Formats whose usual file extension is not their name.
_ENDINGS = {"jpeg": "jpg"}
_PNG = ImageOptions(encode="png", resize="none")


#: Names of files longer than this do not fit the header of every tar, or every file system.
_MAX_KEY = 80
LABEL = "label"
#: The number of the label of a picture without one, as in scikit-learn.
_NO_LABEL = -1


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows `start` to `start + rows` of a row group."""

    batch: StoredBatch
    group: int
    start: int
    rows: int


@dataclass(frozen=True, slots=True)
class Shard:
    """What one shard is made of.

    Args:
        target: Its file or folder.
        pieces: Its rows, in order.
        label: The column that is the label, or None.
        classes: All labels, in order.
        repeated: Uuids that several pictures share.
        seed: By which its rows are shuffled, or None.
        ending: Of all pictures in a tar if they have several formats, as `datasets` expects equal members for each;
            readers of pictures go by the content.
    """

    target: Path
    pieces: tuple[Piece, ...]
    label: str | None
    classes: tuple[str, ...]
    repeated: frozenset[str]
    seed: str | None
    ending: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: a unique name, its bytes, its columns, and the number of its label."""

    key: str
    ending: str
    image: bytes
    columns: dict[str, Any]
    label_number: int | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.key}.{self.ending}"


def write_shard(form: str, unit: Unit) -> Counter[str]:
    """Write the shard `unit.payload`. Rows that are equal, as they were in the list, become one picture."""
    shard: Shard = unit.payload
    counts: Counter[str] = Counter()
    samples = _counted(_samples(shard, counts), counts)
    if shard.seed is not None:
        samples = iter(_shuffled(list(samples), shard.seed))
    _WRITERS[form](shard.target, samples)
    return counts


def _shuffled(samples: list[Sample], seed: str) -> list[Sample]:
    random.Random(seed).shuffle(samples)
    return samples


def _counted(samples: Iterator[Sample], counts: Counter[str]) -> Iterator[Sample]:
    seen: set[str] = set()
    for sample in samples:
        kind = "repeated_uuids" if sample.key in seen else "images"
        counts[kind] += 1
        if sample.key not in seen:
            seen.add(sample.key)
            yield sample


def _samples(shard: Shard, counts: Counter[str]) -> Iterator[Sample]:
    wanted = dict.fromkeys((*_COLUMNS, *([shard.label] if shard.label else [])))
    numbers = {name: number for number, name in enumerate(shard.classes)}
    for chunk in _chunks(shard.pieces):
        there = [name for name in wanted if name in chunk.rows.schema.names]
        for columns, stored in zip(chunk.rows.select(there).to_pylist(), chunk.images(), strict=True):
            try:
                yield _sample(shard, numbers, columns, _encoded(stored))
            except ImageError:
                counts["not_readable"] += 1


def _sample(shard: Shard, numbers: Mapping[str, int], columns: dict[str, Any], image: StoredImage) -> Sample:
    key = key_of(columns["uuid"], columns.get("identifier"), shard.repeated)
    ending = shard.ending or ending_of(image.image_format)
    if not shard.label:
        return Sample(key, ending, image.image, columns)
    label = label_of(columns.get(shard.label))
    described = {name: value for name, value in columns.items() if name in _COLUMNS} | {LABEL: label}
    return Sample(key, ending, image.image, described, _NO_LABEL if label is None else numbers[label])


def label_of(value: object) -> str | None:
    """A value of the label's column as a label: on one line, as in a list of classes; None if it says nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(str("" if value is None else value).split()) or None


def _chunks(pieces: Iterable[Piece]) -> Iterator[Chunk]:
    for path, of_file in groupby(pieces, key=lambda piece: piece.batch.path):
        with pq.ParquetFile(path) as file:
            for piece in of_file:
                rows = file.read_row_group(piece.group).slice(piece.start, piece.rows)
                for batch in rows.to_batches(CHUNK_ROWS):
                    yield Chunk(0, batch)


def key_of(uuid: str | None, identifier: str | None, repeated: Container[str] = ()) -> str:
    """A name for a picture that tars, file systems and WebDataset take: it ends keys at the first dot.

    Readers skip names that begin with two underscores.

    Args:
        uuid: Of the row; a list's own may be any text.
        identifier: The URL, by which pictures that share a uuid are told apart.
        repeated: Uuids that several pictures share.
    """
    key = quote(uuid or "", safe="").replace(".", "%2E")
    if key.startswith("__"):
        key = f"%5F{key[1:]}"
    if not uuid or uuid in repeated:
        key = f"{key[:_MAX_KEY]}-{_digest(identifier or '')}" if uuid else _digest(identifier or "")
    return key if len(key) <= _MAX_KEY else f"{key[: _MAX_KEY // 2].rstrip('%')}-{_digest(key)}"


def ending_of(image_format: str) -> str:
    """The usual ending of files of a stored format."""
    return "png" if image_format == RAW else _ENDINGS.get(image_format, image_format)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _encoded(stored: StoredImage) -> StoredImage:
    if stored.image_format != RAW:
        return stored
    made = reprocess(stored, _PNG)
    return StoredImage(made.image, made.image_format, made.resized_size)


def _write_tar(target: Path, samples: Iterator[Sample]) -> None:
    with replacing(target) as temp, tarfile.open(temp, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            members = {sample.name: sample.image, f"{sample.key}.json": _json(sample)}
            if sample.label_number is not None:
                members[f"{sample.key}.cls"] = str(sample.label_number).encode()
            for name, data in members.items():
                member = tarfile.TarInfo(name)  # without time and owner, so that equal images make equal shards
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _json(sample: Sample) -> bytes:
    """The columns; a text that is missing is empty, as readers take the type of a column from the first few samples."""
    columns = {name: "" if value is None else value for name, value in sample.columns.items()}
    return json.dumps(columns, ensure_ascii=False, default=str).encode()


def _write_parquet(target: Path, samples: Iterator[Sample]) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema, samples = _schema_of(samples, image)
    with replacing(target) as temp:
        write_parquet(temp, schema, (_record_batch(rows, schema) for rows in _grouped(samples)))


def _write_lance(target: Path, samples: Iterator[Sample]) -> None:
    schema, samples = _schema_of(samples, pa.binary())
    write_fragments(target, schema, (_record_batch(rows, schema) for rows in _grouped(samples)))


def _schema_of(samples: Iterator[Sample], image: pa.DataType) -> tuple[pa.Schema, Iterator[Sample]]:
    """The columns of a table of these samples, whose pictures have the type `image`; and the samples."""
    first, samples = _peeked(samples)
    texts = [name for name in _COLUMNS if not name.endswith("_size") and name != "is_license_full"]
    labels = [(LABEL, pa.string())] if first and LABEL in first.columns else []
    return pa.schema([("image", image), *labels, *((name, pa.string()) for name in texts)]), samples


def _peeked(samples: Iterator[Sample]) -> tuple[Sample | None, Iterator[Sample]]:
    first = next(samples, None)
    return first, samples if first is None else chain([first], samples)


def _record_batch(samples: Sequence[Sample], schema: pa.Schema) -> pa.RecordBatch:
    has_paths = pa.types.is_struct(schema.field("image").type)
    pictures = [{"bytes": sample.image, "path": sample.name} if has_paths else sample.image for sample in samples]
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
    rows: list[dict[str, Any]] = []
    for sample in samples:
        (target / sample.name).write_bytes(sample.image)
        rows.append({"file_name": sample.name, **sample.columns})
    labels = [(LABEL, pa.string())] if any(LABEL in row for row in rows) else []
    columns = [(name, SUCCESS_SCHEMA.field(name).type) for name in _COLUMNS]
    schema = pa.schema([("file_name", pa.string()), *labels, *columns])
    with replacing(target / "metadata.parquet") as temp:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temp)


_WRITERS: dict[str, Callable[[Path, Iterator[Sample]], None]] = {
    "webdataset": _write_tar,
    "parquet": _write_parquet,
    "imagefolder": _write_folder,
    "lance": _write_lance,
}
