"""Finds the files that `path_to_input` names: one file, a folder of lists, a glob, or an unpacked archive.

A folder or glob holds files of one kind. Names that begin with `.` or `_` (Spark's `_SUCCESS`), the run's own folder
and files that are not lists are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Literal

from ray_downloader.errors import UserError
from ray_downloader.machine import with_home
from ray_downloader.sources.archive import GBIF_NAMES, TableNames, looks_like_archive
from ray_downloader.sources.unpack import COMPRESSED_ENDINGS, file_kind

Kind = Literal["text", "json", "parquet", "arrow", "archive"]

READABLE = (
    ".txt, .csv, .tsv, .jsonl, .json (also .gz, .bz2, .zst, .xz), .parquet, .arrow, or a Darwin Core Archive (.zip)"
)
_ELSEWHERE = ("http://", "https://", "ftp://", "s3://", "gs://")
_KINDS: dict[str, Kind] = {
    ".txt": "text",
    ".csv": "text",
    ".tsv": "text",
    ".tab": "text",
    ".jsonl": "text",
    ".ndjson": "text",
    ".jsonlines": "text",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".zip": "archive",
}


#: Names of files that describe what they are packed with.
_ABOUT = re.compile(
    r"read[ _-]?me|licen[cs]e|licence|copying|citations?|rights|changelog|notice|checksums?", re.IGNORECASE
)

_ABOUT_IN_JSON = re.compile(r"(?:meta|meta_?data|data_?package|croissant|schema|dataset_infos?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileFinder:
    """Finds lists.

    Args:
        exclude: A folder that is not input even if it is inside an input folder: the run's own.
        report: Called with a sentence about each skipped file.
        names: What the dataset's tables are called: a folder with a table of media and one beside it is an archive.
    """

    exclude: Path
    report: Callable[[str], None]
    names: TableNames = GBIF_NAMES

    def find(self, path_to_input: str) -> list[Path]:
        """Files, and folders that are archives, in the order of their names.

        Raises:
            UserError: There are none, or they are of several kinds.
        """
        if path_to_input.startswith(_ELSEWHERE):
            raise UserError(f"path_to_input={path_to_input} is not on this machine; download the list first")
        path = with_home(path_to_input)
        if path.is_dir() and not looks_like_archive(path, self.names):
            done = legacy_batches_done(path)
            if done:
                self.report(f"{path} is of distributed-downloader; {len(done)} batches that it completed are left out")
            found = list(self._lists_below(path, done))
        elif path.exists():
            return [path]
        elif has_magic(path_to_input):
            found = list(self._lists_matching(str(path)))
        else:
            raise UserError(f"path_to_input={path_to_input} does not exist")
        if not found:
            raise UserError(f"path_to_input={path_to_input} contains no list; what can be read: {READABLE}")
        return _of_one_kind(self._without_documents(found), path_to_input)

    def _without_documents(self, paths: list[Path]) -> list[Path]:
        """JSON beside lists of another kind describes those lists."""
        documents = [path for path in paths if _kind_by_name(path) == "json" and not path.is_dir()]
        if len(documents) == len(paths):
            return paths
        for path in documents:
            self.report(f"{path} is not a list and is skipped")
        return [path for path in paths if path not in documents]

    def _lists_matching(self, pattern: str) -> Iterator[Path]:
        matches = sorted(map(Path, glob(pattern, recursive=True)))  # noqa: PTH207 - the pattern may be absolute
        files = {path: None for path in matches if not path.is_dir() and not self._is_excluded(path)}
        yield from files
        for folder in (path for path in matches if path.is_dir() and not self._is_excluded(path)):
            inside = [folder] if looks_like_archive(folder, self.names) else self._lists_below(folder)
            yield from (path for path in inside if path not in files)

    def _lists_below(self, folder: Path, done: frozenset[Path] = frozenset()) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path.name.startswith((".", "_")) or self._is_excluded(path):
                continue
            if path in done:
                continue
            if path.is_dir():
                yield from [path] if looks_like_archive(path, self.names) else self._lists_below(path, done)
            elif kind_by_name(path.name):
                yield path
            else:
                self.report(f"{path} is not a list and is skipped")

    def _is_excluded(self, path: Path) -> bool:
        return self.exclude.resolve() in (path.resolve(), *path.resolve().parents)


def legacy_batches_done(urls: Path) -> frozenset[Path]:
    """Batches in the URL folder of a distributed-downloader run that its images folder marks as `completed`."""
    if not any(urls.glob("server_name=*")):
        return frozenset()
    markers = urls.parent.glob("*/server_name=*/partition_id=*/completed")
    return frozenset(urls / marker.parent.parent.name / marker.parent.name for marker in markers)


def kind_of(path: Path) -> Kind | None:
    """What a file is by its name or, if its name says nothing, by its first bytes; None if it cannot be read."""
    kind = _kind_by_name(path)
    if kind is None and path.name.lower().endswith(COMPRESSED_ENDINGS):
        return "text"
    return kind or kind_by_content(path)


def kind_by_content(path: Path) -> Kind | None:
    """What a file is by its first bytes; None if it cannot be read, or is compressed."""
    by_content: dict[str | None, Kind] = {
        None: "text",
        "a parquet file": "parquet",
        "an Arrow file": "arrow",
        "a JSON document": "json",
    }
    return by_content.get(file_kind(path))


def text_name(path: Path) -> str:
    """The name in lower case, without the ending that says how it is compressed."""
    return list_name(path.name)


def list_name(name: str) -> str:
    """A name in lower case, without the ending that says how the file is compressed."""
    lowered = name.lower()
    return next((lowered.removesuffix(end) for end in COMPRESSED_ENDINGS if lowered.endswith(end)), lowered)


def kind_by_name(name: str) -> Kind | None:
    """What a file is by its name; None if the name says nothing."""
    name = Path(name).name
    kind = _KINDS.get(Path(list_name(name)).suffix)
    about = _ABOUT_IN_JSON if kind == "json" else _ABOUT
    return None if name.startswith((".", "_")) or about.fullmatch(Path(list_name(name)).stem) else kind


def _kind_by_name(path: Path) -> Kind | None:
    return _KINDS.get(Path(text_name(path)).suffix)


def _of_one_kind(paths: list[Path], where: str) -> list[Path]:
    kinds = sorted({"archive" if path.is_dir() else kind_of(path) or "unknown" for path in paths})
    if len(kinds) > 1:
        raise UserError(
            f"path_to_input={where} has files of several kinds ({', '.join(kinds)}); name those of one kind by a glob"
        )
    return list(dict.fromkeys(paths))
