"""Run folders with finished batches, made without a download, for tests of the tools."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.config.settings import Settings
from ray_downloader.image import ImageOptions, process
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import write_marker
from ray_downloader.run_folder.schemas import SUCCESS_SCHEMA
from ray_downloader.tools.base import TOOLS, Step, Tool
from ray_downloader.tools.context import ToolContext
from ray_downloader.tools.engine import do_unit

#: What the legacy project writes: no format column, raw pixels, 64-bit sizes.
LEGACY_SCHEMA = pa.schema(
    [
        *(pa.field(name, SUCCESS_SCHEMA.field(name).type) for name in SUCCESS_SCHEMA.names[:7]),
        pa.field("original_size", pa.list_(pa.int64())),
        pa.field("resized_size", pa.list_(pa.int64())),
        pa.field("hashsum_original", pa.string()),
        pa.field("hashsum_resized", pa.string()),
        pa.field("image", pa.binary()),
    ]
)


def received(seed: int, height: int = 90, width: int = 120) -> bytes:
    """A JPEG as a server might send it: smooth shapes, another one for each seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())


def row(uuid: str, body: bytes, image_size: int = 64, encode: str = "jpeg", **columns: Any) -> dict[str, Any]:
    """A row of `successes.parquet`; `columns` override what the picture gives."""
    made = process(body, ImageOptions(image_size=image_size, encode=encode))
    return {
        "uuid": uuid,
        "source_id": f"id-{uuid}",
        "identifier": f"http://a.example/{uuid}.jpg",
        "is_license_full": False,
        "hashsum_original": made.hashsum_original,
        "hashsum_resized": made.hashsum_resized,
        "original_size": list(made.original_size),
        "resized_size": list(made.resized_size),
        "image": made.image,
        "image_format": made.image_format,
        "original_format": made.original_format,
        **columns,
    }


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run folder."""

    root: Path

    def add(
        self, rows: Sequence[dict[str, Any]], server: str = "a.example", partition_id: int = 0,
        schema: pa.Schema = SUCCESS_SCHEMA,
    ) -> Path:  # fmt: skip
        """Write a finished batch."""
        folder = self.layout.batch_folder(server, partition_id)
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(list(rows), schema=schema)
        pq.write_table(table, folder / SUCCESSES, row_group_size=2)
        write_marker(folder, "")
        return folder / SUCCESSES

    @property
    def settings(self) -> Settings:
        """Default settings."""
        return Settings.from_config({"path_to_input": "list.txt", "path_to_output": self.root})

    @property
    def layout(self) -> RunLayout:
        """Its paths."""
        return RunLayout.of(self.settings)

    def tool(self, name: str, image: Mapping[str, Any] | None = None, **parameters: Any) -> Tool:
        """A tool on it; with `image`, which says how images are to be stored."""
        values = {
            "path_to_input": "",
            "path_to_output": self.root,
            "tools_parameters": parameters,
            "image": image or {},
        }
        return TOOLS.get(name)(ToolContext(name, Settings.from_config(values), image is not None))

    def images(self) -> dict[str, dict[str, Any]]:
        """All rows by uuid."""
        files = sorted(self.layout.images.rglob(SUCCESSES))
        return {one["uuid"]: one for file in files for one in pq.ParquetFile(file).read().to_pylist()}


def run_here(tool: Tool) -> dict[str, Any]:
    """What the engine does, one unit after the other, without Ray."""
    counts = _do(tool.work())
    return {**counts, **tool.finish(counts)}


def stage_here(tool: Tool) -> None:
    """Make what `apply` publishes."""
    _do(tool.staged())


def _do(step: Step | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for unit in step.units if step else ():
        assert step is not None
        counts.update(unit.counts() or do_unit(step.function, unit))
    return counts


def rows_of(path: Path) -> list[dict[str, str]]:
    """A CSV's rows."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def md5(data: bytes) -> str:
    """In hex."""
    return hashlib.md5(data).hexdigest()
