"""`export`: writes the images in a form that training code reads, chosen by `tools_parameters.export_format`.

- `webdataset`: `shards/000000.tar`, ... with `<key>.<format>` and `<key>.json` for each image.
- `parquet`: `data/train-00000-of-....parquet`, which `datasets.load_dataset` reads as pictures.
- `imagefolder`: `train/<shard>/<key>.<format>` with `metadata.csv`, which `datasets` and most other programs read.

A shard holds whole batches, about `shard_rows` images. Raw images become PNG.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ray_downloader.tools.base import TOOLS, Step, Tool, Unit
from ray_downloader.tools.builtin.shards import NAMES, write_shard
from ray_downloader.tools.context import StoredBatch, stamp_of

_UNITS = ".units"


@TOOLS.register("export")
class Export(Tool):
    """One unit per shard."""

    @property
    def folder(self) -> Path:
        """Where the shards of the chosen form go."""
        return self.context.folder / self.context.parameters.export_format

    def work(self) -> Step:
        """Cut the batches into shards."""
        form = self.context.parameters.export_format
        shards = list(_shards(self.context.batches, self.context.parameters.shard_rows))
        targets = [self.folder / NAMES[form].format(shard=index, shards=len(shards)) for index in range(len(shards))]
        _remove_others(self.folder, targets)
        units = [
            Unit(self.folder / _UNITS / target.name, tuple(batches), stamp_of(batches), target)
            for batches, target in zip(shards, targets, strict=True)
        ]
        return Step(partial(write_shard, form), units)

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Report where they are."""
        return {"format": self.context.parameters.export_format, **counts, "folder": str(self.folder)}


def _remove_others(folder: Path, targets: Sequence[Path]) -> None:
    """Remove the shards of an earlier export that was cut differently."""
    for path in (path for parent in {target.parent for target in targets} for path in parent.glob("*")):
        if path not in targets:
            shutil.rmtree(folder / _UNITS / path.name, ignore_errors=True)
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _shards(batches: Sequence[StoredBatch], rows: int) -> Iterator[list[StoredBatch]]:
    """Consecutive batches, until together they hold at least `rows` rows."""
    held: list[StoredBatch] = []
    held_rows = 0
    for batch in batches:
        held.append(batch)
        held_rows += pq.read_metadata(batch.path).num_rows
        if held_rows >= rows:
            yield held
            held, held_rows = [], 0
    if held_rows:
        yield held
