"""Darwin Core Archives: finds the media table of a zip or folder, and the table beside it that a dataset asks.

`meta.xml` says which file has the media (rowType Multimedia or Audubon Core), how its text is cut and what its columns
are; without it, or where it has no media, the file is known by its name.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ray_downloader.errors import UserError
from ray_downloader.sources.meta import META_FILE, TableDescription, is_media, parse_meta
from ray_downloader.sources.unpack import Scratch

#: Name of the media table where no descriptor tells it.
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

    def named(self, stem: str) -> str | None:
        """The text file whose name is `stem` and an ending, if there is one; the one highest up if there are more."""
        wanted = {stem + ending for ending in _TEXT_ENDINGS}
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
        """The file where it lies."""
        return self._folder / name


class ZipArchive(Archive):
    """An archive as it is downloaded; only what is asked for is unpacked."""

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


def looks_like_archive(folder: Path) -> bool:
    """Whether a folder is an unpacked archive rather than a folder of lists."""
    archive = FolderArchive(folder)
    return META_FILE in archive.names() or archive.named(MEDIA_STEM) is not None


def archive_tables(archive: Archive, companion_stem: str | None) -> tuple[ArchiveTable, ArchiveTable | None]:
    """The media table and, if asked for and there, the companion.

    Raises:
        UserError: The archive has no media table.
    """
    descriptions = list(_descriptions(archive))
    media = next((one for one in descriptions if is_media(one)), None)
    name = _member(archive, media) if media else archive.named(MEDIA_STEM)
    if name is None:
        listed = ", ".join(archive.names()[:10]) or "nothing"
        raise UserError(
            f"{archive.shown} has no table of media ({MEDIA_STEM}.txt, or a media extension in {META_FILE}); it holds: "
            f"{listed}. At GBIF, choose the download format 'Darwin Core Archive'"
        )
    beside = archive.named(companion_stem) if companion_stem else None
    return _table(archive, name, descriptions), _table(archive, beside, descriptions) if beside else None


def _descriptions(archive: Archive) -> Iterable[TableDescription]:
    metas = [name for name in archive.names() if PurePosixPath(name).name == META_FILE]
    if not metas:
        return []
    name = min(metas, key=lambda name: name.count("/"))
    return parse_meta(archive.file(name).read_bytes(), f"{name} in {archive.shown}")


def _member(archive: Archive, description: TableDescription) -> str:
    found = [name for name in archive.names() if PurePosixPath(name).name == description.file]
    if not found:
        raise UserError(f"{META_FILE} of {archive.shown} names {description.file}, which is not there")
    return min(found, key=lambda name: name.count("/"))


def _table(archive: Archive, name: str, descriptions: Iterable[TableDescription]) -> ArchiveTable:
    file_name = PurePosixPath(name).name
    description = next((one for one in descriptions if one.file == file_name), None)
    return ArchiveTable(archive.file(name), f"{archive.shown}/{name}", description)
