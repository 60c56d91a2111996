"""Opens what `path_to_input` names: every list becomes plain UTF-8 text or parquet with known column names.

What is neither is refused with one sentence; files without rows are passed over as long as others have some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.sources.archive import (
    Archive,
    ArchiveTable,
    FolderArchive,
    TableNames,
    ZipArchive,
    archive_tables,
    no_media,
)
from ray_downloader.sources.coco import write_coco_images
from ray_downloader.sources.lines import with_one_line_end
from ray_downloader.sources.locate import READABLE, kind_of, text_name
from ray_downloader.sources.quotes import with_sound_quotes
from ray_downloader.sources.tables import MediaInput, Table, has_column
from ray_downloader.sources.text import TextRules, described_text_table, read_text_table
from ray_downloader.sources.unpack import Scratch, as_utf8, file_kind, gunzip


@dataclass(frozen=True, slots=True)
class InputReader:
    """Opens lists of one dataset.

    Args:
        rules: How text is read.
        names: What the dataset's tables are called.
        reads_core: Whether the dataset knows what to make of a core that lists media itself (`associatedMedia`).
        scratch: Where unpacked copies go.
        report: Told about files that are passed over.
    """

    rules: TextRules
    names: TableNames
    reads_core: bool
    scratch: Scratch
    report: Callable[[str], None]

    def read(self, paths: list[Path]) -> list[MediaInput]:
        """The media table of each path that has rows.

        Raises:
            UserError: A path cannot be read, or none of them has a row.
        """
        try:
            opened = [(path, list(self._open(path))) for path in paths]
        except PermissionError as error:
            raise UserError(f"{error.filename} may not be read by this user") from None
        empty = [path for path, media in opened if not media]
        if len(empty) == len(opened):
            raise UserError(f"{empty[0]} has no rows" + (f", nor have {len(empty) - 1} others" if empty[1:] else ""))
        for path in empty:
            self.report(f"{path} has no rows")
        return [one for _, media in opened for one in media]

    def _open(self, path: Path) -> Iterable[MediaInput]:
        if path.is_dir():
            return self._open_archive(FolderArchive(path))
        if path.stat().st_size == 0:
            return ()
        if path.suffix.lower() == ".json":
            return _parquet(
                write_coco_images(path, str(path), self.scratch.new_path(f"{path.stem}.parquet")), str(path)
            )
        kind = kind_of(path)
        if kind == "archive":
            return self._open_archive(ZipArchive(path, str(path), self.scratch))
        if kind == "parquet":
            return _parquet(path, str(path))
        if kind == "text":
            return self._open_text(path)
        raise UserError(f"{path} is {file_kind(path)}; what can be read: {READABLE}")

    def _open_text(self, path: Path) -> Iterable[MediaInput]:
        media = self._text(ArchiveTable(path, str(path), None))
        if media is None:
            return ()
        is_of_archive = text_name(path).rpartition(".")[0] in self.names.media
        stems = self.names.companions if is_of_archive else ()
        names = [name for stem in stems if (name := FolderArchive(path.parent).named(stem))]
        beside = [self._text(ArchiveTable(path.parent / name, str(path.parent / name), None)) for name in names]
        return (MediaInput(media, tuple(table for table in beside if table)),)

    def _open_archive(self, archive: Archive) -> Iterable[MediaInput]:
        """Its tables of media, the core beside the first of them; the core itself where that lists media."""
        tables = archive_tables(archive, self.names, self.report)
        media = self._texts(tables.media, archive)
        core = self._texts(tables.core, archive) if self.names.companions or not media else ()
        listing = [one for one in core if self.reads_core and has_column(one, "associatedMedia")]
        if not tables.media and not listing:
            raise no_media(archive)
        for index, table in enumerate(media):
            yield MediaInput(table, core if index == 0 else ())
        for table in listing:
            # GBIF has put what its occurrences list into the table of media already.
            if not media or not has_column(table, "gbifID"):
                yield MediaInput(table, core_lists="the rest" if media else "all")

    def _texts(self, found: Iterable[ArchiveTable], archive: Archive) -> tuple[Table, ...]:
        tables = ((one, self._text(one)) for one in found)
        return tuple(
            replace(table, scope=archive.shown, core_id=one.description.core_id if one.description else None)
            for one, table in tables
            if table
        )

    def _text(self, found: ArchiveTable) -> Table | None:
        """A text table, unwrapped and with its quotes made sound; None if it has no row."""
        path, shown, description = found.path, found.shown, found.description
        if shown.lower().endswith(".gz"):
            path = gunzip(path, shown, self.scratch)
        if kind := file_kind(path):
            raise UserError(f"{shown} is {kind}, not the text that its name promises")
        path = as_utf8(path, shown, self.scratch, description.encoding if description else None)
        path = with_one_line_end(path, self.scratch.new_path(path.name))
        if description:
            table = described_text_table(path, shown, description)
        else:
            table = read_text_table(path, shown, Path(text_name(Path(shown))).suffix, self.rules)
        return self._with_sound_quotes(table) if table else None

    def _with_sound_quotes(self, table: Table) -> Table:
        if table.text is None or not table.text.quote:
            return table
        copy = self.scratch.new_path(table.path.name)
        path = with_sound_quotes(table.path, table.text, len(table.columns), copy)
        return replace(table, path=path)


def _parquet(path: Path, shown: str) -> Iterable[MediaInput]:
    table = _parquet_table(path, shown)
    return (MediaInput(table),) if table else ()


def _parquet_table(path: Path, shown: str) -> Table | None:
    try:
        with pq.ParquetFile(path) as file:
            names = tuple(file.schema_arrow.names)
            return Table(path, shown, names, None) if file.metadata.num_rows else None
    except (pa.ArrowException, OSError) as error:
        kinds = {None: "not a parquet file", "a parquet file": "a damaged parquet file"}
        kind = file_kind(path)
        raise UserError(f"{path} is {kinds.get(kind, kind)}: {str(error).splitlines()[0]}") from None
