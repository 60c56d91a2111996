"""`export`: writes the images in a form that training code reads, chosen by `tools_parameters.export_format`.

- `webdataset`: `shards/000000.tar`, ... with `<key>.<format>`, `<key>.json` and, if it has a label, `<key>.cls`.
- `parquet`: `data/train-00000-of-....parquet`, which `datasets.load_dataset` reads as pictures.
- `imagefolder`: `train/<shard>/<key>.<format>` with `metadata.parquet`, which `datasets` reads.
- `lance`: `images.lance`, one dataset, with a fragment per shard.

Each shard has `shard_rows` images, the last one fewer. `export.shuffle` is a seed: row groups of all files are put in
random order, then the images of each shard. `export.label` names a column.

Beside the shards are a card (`README.md`), a contact sheet
and, with a label, `classes.txt`. Raw images become PNG.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.output.data_card import version_of
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.markers import finished_folders
from ray_downloader.sql import identifier
from ray_downloader.tools.base import TOOLS, Step, Tool, Unit
from ray_downloader.tools.builtin.export_card import write_card
from ray_downloader.tools.builtin.lance_dataset import commit, is_there, require_lance
from ray_downloader.tools.builtin.shards import NAMES, Piece, Shard, ending_of, label_of, write_shard
from ray_downloader.tools.context import StoredBatch, fingerprint, stamp_of
from ray_downloader.tools.queries import columns_of, images_database

_UNITS = ".units"
_CLASSES = "classes.txt"
_FORMATS_SQL = "SELECT image_format FROM images WHERE image_format IS NOT NULL GROUP BY ALL ORDER BY count(*) DESC, 1"
#: Some file systems take names for the same that differ in case only.
_REPEATED_SQL = """
SELECT DISTINCT unnest(list(DISTINCT uuid)) AS uuid FROM images
GROUP BY lower(uuid) HAVING count(DISTINCT identifier) > 1 ORDER BY uuid
"""


@TOOLS.register("export")
class Export(Tool):
    """One unit per shard."""

    @property
    def folder(self) -> Path:
        """Where the shards of the chosen form go."""
        return self.context.folder / self.context.parameters.export_format

    def work(self) -> Step:
        """Cut the images into shards."""
        form = self.context.parameters.export_format
        if form == "lance":
            require_lance()
            if not is_there(self.folder):  # what was written before is not part of it
                shutil.rmtree(self.folder / _UNITS, ignore_errors=True)
        repeated, classes, ending = self._facts
        cuts = list(_cuts(self._pieces(), self.context.parameters.shard_rows))
        targets = [self.folder / NAMES[form].format(shard=index, shards=len(cuts)) for index in range(len(cuts))]
        _remove_others(self.folder, targets)
        units = []
        for index, (pieces, target) in enumerate(zip(cuts, targets, strict=True)):
            label, seed = self.context.settings.export.label, self._seed_of(index)
            shard = Shard(
                target, tuple(pieces), label, classes, repeated, seed, ending if form == "webdataset" else None
            )
            batches = tuple(dict.fromkeys(piece.batch for piece in pieces))
            facts = {"pieces": pieces, "names": sorted(repeated), "how": (label, classes, seed, shard.ending)}
            units.append(
                Unit(self.folder / _UNITS / target.name, batches, f"{stamp_of(batches)}-{fingerprint(facts)}", shard)
            )
        return Step(partial(write_shard, form), units)

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Write the card, and report where everything is."""
        _, classes, _ = self._facts
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.context.parameters.export_format == "lance":
            commit(self.folder, sorted(self.folder.glob("fragments/*.json")))
        (self.folder / _CLASSES).unlink(missing_ok=True)
        if classes:
            write_text(self.folder / _CLASSES, "".join(f"{name}\n" for name in classes))
        with images_database(self.context.folder, self.context.batches) as connection:
            version = version_of(finished_folders(self.folder, f"{_UNITS}/*"))
            write_card(self.context, self.folder, connection, counts, version)
        return {"format": self.context.parameters.export_format, **counts, "folder": self.context.shown(self.folder)}

    @cached_property
    def _facts(self) -> tuple[frozenset[str], tuple[str, ...], str | None]:
        """The uuids that several pictures share, the labels in order, and the common ending of mixed formats.

        Raises:
            UserError: There is no column of that name.
        """
        label = self.context.settings.export.label
        with images_database(self.context.folder, self.context.batches) as connection:
            names = columns_of(connection)
            if label is not None and label not in names:
                raise UserError(
                    f"export.label={label} is not a column of the images; those are: {', '.join(sorted(names))}. "
                    "dataset.keep carries columns of the list along"
                )
            repeated = frozenset(uuid for (uuid,) in connection.execute(_REPEATED_SQL).fetchall())
            column = identifier(label) if label else "NULL"
            values = connection.execute(f"SELECT DISTINCT {column} FROM images").fetchall()
            formats = connection.execute(_FORMATS_SQL).fetchall() if "image_format" in names else []
        ending = ending_of(formats[0][0]) if len(formats) > 1 else None
        labels = {label for (value,) in values if (label := label_of(value)) is not None}
        return repeated, tuple(sorted(labels)), ending

    def _pieces(self) -> list[Piece]:
        pieces = list(_row_groups(self.context.batches))
        seed = self.context.settings.export.shuffle
        if seed is not None:
            random.Random(seed).shuffle(pieces)
        return pieces

    def _seed_of(self, shard: int) -> str | None:
        seed = self.context.settings.export.shuffle
        return None if seed is None else f"{seed}-{shard}"


def _row_groups(batches: Iterable[StoredBatch]) -> Iterator[Piece]:
    for batch in batches:
        metadata = pq.read_metadata(batch.path)
        for group in range(metadata.num_row_groups):
            yield Piece(batch, group, 0, metadata.row_group(group).num_rows)


def _cuts(pieces: Iterable[Piece], rows: int) -> Iterator[list[Piece]]:
    """The pieces, cut so that each list has `rows` rows, the last one fewer."""
    held: list[Piece] = []
    room = rows
    for piece in pieces:
        start, left = piece.start, piece.rows
        while left:
            taken = min(left, room)
            held.append(Piece(piece.batch, piece.group, start, taken))
            start, left, room = start + taken, left - taken, room - taken
            if not room:
                yield held
                held, room = [], rows
    if held:
        yield held


def _remove_others(folder: Path, targets: Sequence[Path]) -> None:
    """Remove the shards of an earlier export that was cut differently."""
    for path in (path for parent in {target.parent for target in targets} for path in parent.glob("*")):
        if path not in targets:
            shutil.rmtree(folder / _UNITS / path.name, ignore_errors=True)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
