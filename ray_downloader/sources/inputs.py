"""Opens what `path_to_input` names: every list becomes plain UTF-8 text or parquet with known column names.

Anything else is refused with one sentence; files without rows are skipped as long as others have some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ray_downloader.errors import UserError
from ray_downloader.sources.archive import (
    Archive,
    ArchiveTable,
    FolderArchive,
    TableNames,
    ZipArchive,
    archive_tables,
    looks_like_archive,
    no_media,
)
from ray_downloader.sources.dialect import TextRules
from ray_downloader.sources.locate import READABLE, Kind, kind_by_content, kind_by_name, kind_of, text_name
from ray_downloader.sources.open_table import TableOpener
from ray_downloader.sources.tables import MediaInput, Table, has_column
from ray_downloader.sources.unpack import Scratch, decompress, file_kind, workbook_kind


@dataclass(frozen=True, slots=True)
class InputReader:
    """Opens lists of one dataset.

    Args:
        rules: How text is read.
        names: What the dataset's tables are called.
        reads_core: Whether the dataset can read a core that lists media itself (`associatedMedia`).
        zips_hold_lists: Whether a zip that is not an archive may contain lists.
        scratch: Where unpacked copies go.
        report: Called with a sentence about each skipped file.
    """

    rules: TextRules
    names: TableNames
    reads_core: bool
    zips_hold_lists: bool
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
            raise UserError(f"{empty[0]} has no rows" + (f", nor do {len(empty) - 1} others" if empty[1:] else ""))
        for path in empty:
            self.report(f"{path} has no rows")
        return [one for _, media in opened for one in media]

    def _open(self, path: Path) -> Iterable[MediaInput]:
        if path.is_dir():
            return self._open_archive(FolderArchive(path))
        if path.stat().st_size == 0:
            return ()
        return self._open_kind(kind_of(path), path, str(path))

    def _open_kind(self, kind: Kind | None, path: Path, shown: str) -> Iterable[MediaInput]:
        opener = TableOpener(self.rules, self.scratch)
        path = decompress(path, shown, self.scratch)
        kind = kind or kind_by_content(path)
        if kind == "archive" and not workbook_kind(path):
            archive = ZipArchive(path, shown, self.scratch)
            holds_lists = self.zips_hold_lists and not looks_like_archive(path, self.names)
            return (holds_lists and list(self._zipped_lists(archive))) or self._open_archive(archive)
        if kind == "parquet":
            return _inputs(opener.parquet(path, shown))
        if kind == "arrow":
            return _inputs(opener.arrow(path, shown))
        if kind == "json":
            return _inputs(opener.json(path, shown))
        if kind == "text":
            return self._open_text(path, shown)
        if workbook := workbook_kind(path):
            raise UserError(
                f"{shown} is {workbook}; save the sheet with the list as CSV (in Excel: Save As > CSV UTF-8, in "
                "LibreOffice: Save As > Text CSV), and give that file"
            )
        raise UserError(f"{shown} is {file_kind(path)}; what can be read: {READABLE}")

    def _zipped_lists(self, archive: ZipArchive) -> Iterable[MediaInput]:
        """Lists that were zipped for transport: each is read as if it were not."""
        members = [name for name in archive.names() if kind_by_name(name)]
        kinds = {kind_by_name(name) for name in members}
        if len(kinds) > 1:
            raise UserError(
                f"{archive.shown} holds lists of several kinds ({', '.join(sorted(map(str, kinds)))}); unpack it and "
                "name those of one kind by a glob"
            )
        for name in members:
            path = archive.file(name)
            if path.stat().st_size:
                yield from self._open_kind(kind_by_name(name), path, f"{archive.shown}/{name}")

    def _open_text(self, path: Path, shown: str) -> Iterable[MediaInput]:
        media = self._text(ArchiveTable(path, shown, None))
        if media is None:
            return ()
        is_of_archive = text_name(path).rpartition(".")[0] in self.names.media
        stems = self.names.companions if is_of_archive else ()
        names = [name for stem in stems if (name := FolderArchive(path.parent).named(stem))]
        beside = [self._text(ArchiveTable(path.parent / name, str(path.parent / name), None)) for name in names]
        return (MediaInput(media, tuple(table for table in beside if table)),)

    def _open_archive(self, archive: Archive) -> Iterable[MediaInput]:
        """Its tables of media, the first of them with the core beside it; the core itself if that lists media."""
        tables = archive_tables(archive, self.names, self.report)
        media = self._texts(tables.media, archive)
        core = self._texts(tables.core, archive) if self.names.companions or not media else ()
        listing = [one for one in core if self.reads_core and has_column(one, "associatedMedia")]
        if not tables.media and not listing:
            raise no_media(archive)
        for index, table in enumerate(media):
            yield MediaInput(table, core if index == 0 else ())
        for table in listing:
            # GBIF has already put what its occurrences list into the table of media.
            if not media or not has_column(table, "gbifID"):
                yield MediaInput(table, core_lists="the rest" if media else "all")

    def _texts(self, found: Iterable[ArchiveTable], archive: Archive) -> tuple[Table, ...]:
        tables = ((one, self._text(one)) for one in found)
        return tuple(
            replace(
                table,
                scope=archive.shown,
                core_id=one.description.core_id if one.description else None,
                defaults=tuple(one.description.defaults.items()) if one.description else (),
            )
            for one, table in tables
            if table
        )

    def _text(self, found: ArchiveTable) -> Table | None:
        return TableOpener(self.rules, self.scratch).text(found)


def _inputs(table: Table | None) -> Iterable[MediaInput]:
    return (MediaInput(table),) if table else ()
