"""Darwin Core Archives: finds the tables of media in a zip or folder, and the core that they extend.

`meta.xml` says which files have the media (rowType Multimedia, Image or Audubon Core), how their text is split and what
their columns are; without it, or if it names no media, files are recognized by their names.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ray_downloader.errors import UserError
from ray_downloader.sources.meta import META_FILE, TableDescription, is_media, parse_meta
from ray_downloader.sources.unpack import Scratch

#: Name of the media table in GBIF's archives, and in most others.
MEDIA_STEM = "multimedia"
_TEXT_ENDINGS = (".txt", ".csv", ".tsv", ".txt.gz", ".csv.gz", ".tsv.gz")


@dataclass(frozen=True, slots=True)
class ArchiveTable:
    """A table of an archive, as a file on disk."""

    path: Path
    shown: str
    description: TableDescription | None


class Archive(ABC):
    """The files of an archive, by their names."""

    shown: str

    @abstractmethod
    def names(self) -> list[str]:
        """Names of all files."""

    @abstractmethod
    def file(self, name: str) -> Path:
        """The file on disk."""

    def named(self, stem: str, endings: Iterable[str] = _TEXT_ENDINGS) -> str | None:
        """The file named `stem` plus an ending, or None; if there are several, the one highest in the folder tree."""
        wanted = {stem + ending for ending in endings}
        found = [name for name in self.names() if PurePosixPath(name).name.lower() in wanted]
        return min(found, key=lambda name: (name.count("/"), name), default=None)


class FolderArchive(Archive):
    """An unpacked archive."""

    def __init__(self, folder: Path) -> None:
        self.shown = str(folder)
        self._folder = folder

    def names(self) -> list[str]:
        """Files directly in the folder."""
        return sorted(path.name for path in self._folder.iterdir() if path.is_file())

    def file(self, name: str) -> Path:
        """The file itself."""
        return self._folder / name


class ZipArchive(Archive):
    """An archive as it is downloaded; only the requested files are unpacked."""

    def __init__(self, path: Path, shown: str, scratch: Scratch) -> None:
        self.shown = shown
        self._path = path
        self._scratch = scratch
        try:
            with zipfile.ZipFile(path) as archive:
                self._names = [info.filename for info in archive.infolist() if not info.is_dir()]
        except zipfile.BadZipFile as error:
            raise UserError(f"{shown} is not a zip archive: {error}") from None

    def names(self) -> list[str]:
        """Members, without those that macOS adds."""
        return [name for name in self._names if not name.startswith("__MACOSX/")]

    def file(self, name: str) -> Path:
        """An unpacked copy."""
        target = self._scratch.new_path(PurePosixPath(name).name)
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(name) as member, target.open("wb") as copy:
                shutil.copyfileobj(member, copy, 1 << 20)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
            raise UserError(f"{name} in {self.shown} cannot be unpacked: {error}") from None
        return target


@dataclass(frozen=True, slots=True)
class TableNames:
    """Names, without their endings, of the files that hold a dataset's tables if no descriptor names them."""

    media: tuple[str, ...] = (MEDIA_STEM,)
    companions: tuple[str, ...] = ()


#: Names in GBIF's downloads.
GBIF_NAMES = TableNames()


def looks_like_archive(path: Path, names: TableNames = GBIF_NAMES) -> bool:
    """Whether a folder or zip is an archive, rather than one of lists: by its descriptor or the names of its tables."""
    if path.is_dir():
        archive: Archive = FolderArchive(path)
    elif zipfile.is_zipfile(path):
        archive = ZipArchive(path, str(path), Scratch(path.parent))
    else:
        return False
    if archive.named(META_FILE.partition(".")[0], (".xml",)) or archive.named(MEDIA_STEM):
        return True
    return any(map(archive.named, names.media)) and any(map(archive.named, names.companions))


@dataclass(frozen=True, slots=True)
class ArchiveTables:
    """The tables of media, and the core, which describes what is pictured."""

    media: tuple[ArchiveTable, ...]
    core: tuple[ArchiveTable, ...]


def archive_tables(archive: Archive, names: TableNames, report: Callable[[str], None]) -> ArchiveTables:
    """The tables of an archive, according to its descriptor or else to the names of its files.

    Raises:
        UserError: The descriptor cannot be read, or names no file that exists.
    """
    described = _descriptions(archive)
    of_media = [one for one in described if is_media(one)]
    media = list(_present(archive, of_media, report)) or _named_tables(archive, names.media)
    if of_media and not media:
        raise UserError(f"{META_FILE} of {archive.shown} names {of_media[0].file}, which is not there")
    core = list(_present(archive, (one for one in described if one.is_core), report))
    return ArchiveTables(tuple(media), tuple(core or _named_tables(archive, names.companions)))


def no_media(archive: Archive) -> UserError:
    """The error for an archive in which nothing lists media."""
    listed = ", ".join(archive.names()[:10]) or "nothing"
    return UserError(
        f"{archive.shown} has no table of media ({MEDIA_STEM}.txt, or a media extension in {META_FILE}), nor a column "
        f"associatedMedia; it holds: {listed}. At GBIF, choose the download format 'Darwin Core Archive'"
    )


def _descriptions(archive: Archive) -> list[TableDescription]:
    metas = [name for name in archive.names() if PurePosixPath(name).name.lower() == META_FILE]
    if not metas:
        return []
    name = min(metas, key=lambda name: name.count("/"))
    return parse_meta(archive.file(name).read_bytes(), f"{name} in {archive.shown}")


def _present(
    archive: Archive, described: Iterable[TableDescription], report: Callable[[str], None]
) -> Iterator[ArchiveTable]:
    """The described tables that exist."""
    for description in described:
        found = [name for name in archive.names() if PurePosixPath(name).name.lower() == description.file.lower()]
        if found:
            name = min(found, key=lambda name: name.count("/"))
            yield ArchiveTable(archive.file(name), f"{archive.shown}/{name}", description)
        else:
            report(f"{META_FILE} of {archive.shown} names {description.file}, which is not there")


def _named_tables(archive: Archive, stems: Iterable[str]) -> list[ArchiveTable]:
    found = [archive.named(stem) for stem in stems]
    return [ArchiveTable(archive.file(name), f"{archive.shown}/{name}", None) for name in found if name]
