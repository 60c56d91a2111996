"""What a marker knows about a parquet file, and the rows of a file that are still as they were written.

The cheap check, of every scan, compares the size and the end of the file, which says where everything in it is. The
thorough one compares all bytes. A file that fails either is read with care: page by page against Parquet's checksums,
picture by picture against `hashsum_resized`. So damage costs the rows that it hit, or those of their row group.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.output.parquet import PICTURES, picture_notes
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.file_hash import sha256_of
from ray_downloader.run_folder.small_tables import opened

HASH = "hashsum_resized"
_MAGIC = b"PAR1"
#: The end of a parquet file: the length of the footer before it, and the magic.
_END_BYTES = 8


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known about a file.

    Args:
        rows: Their number.
        size_bytes: Its length.
        footer_crc32: Checksum of the footer, as hexadecimal digits.
        sha256: Checksum of all.
    """

    rows: int
    size_bytes: int
    footer_crc32: str
    sha256: str

    @classmethod
    def of(cls, path: Path, rows: int) -> FileFacts:
        """Read the file."""
        footer = _footer(path)
        assert footer is not None
        return cls(rows, path.stat().st_size, _crc32(footer), sha256_of(path))

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> FileFacts:
        """What `to_dict` gave; what another version added is left out.

        Raises:
            KeyError: A value is missing.
        """
        return cls(*(values[name] for name in cls.__slots__))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return asdict(self)

    def problem(self, path: Path) -> str:
        """What is wrong with the size and the end of the file, in words; empty if nothing is."""
        try:
            size_bytes = path.stat().st_size
            if size_bytes != self.size_bytes:
                return f"{path} has {size_bytes} bytes instead of {self.size_bytes}"
            footer = _footer(path)
        except FileNotFoundError:
            return f"{path} is missing"
        except OSError as error:
            require_damage(error, path)
            return f"{path} cannot be read ({error.strerror})"
        return "" if footer and _crc32(footer) == self.footer_crc32 else f"{path} is damaged at its end"

    def is_content_of(self, path: Path) -> bool:
        """Whether all bytes of the file are as they were written."""
        try:
            return sha256_of(path) == self.sha256
        except OSError as error:
            require_damage(error, path)
            return False


def end_problem(path: Path) -> str:
    """What is wrong with a file of which nothing is known, in words; empty if it looks whole."""
    try:
        return "" if _footer(path) is not None else f"{path} is damaged at its end"
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        require_damage(error, path)
        return f"{path} cannot be read ({error.strerror})"


def content_stamp(path: Path) -> str:
    """Names what is in a file by its size and its end: the same for a copy, wherever and whenever that was made.

    Raises:
        OSError: It cannot be read.
    """
    return f"{path.stat().st_size}-{_crc32(_footer(path) or b'')}"


def sound_rows(
    path: Path, columns: Sequence[str] | None = None, needed: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows of a file that may be damaged which are as they were written; none if it is another kind of table.

    Args:
        columns: The columns to return; all by default.
        needed: Columns of text that such a table has.

    Raises:
        RunFolderError: It is out of reach, so its rows may be sound.
    """
    try:
        with opened(path) as file, pq.ParquetFile(path) as unchecked:
            picture_notes(file.metadata.metadata)
            kinds = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
            if any(kinds.get(name) != pa.string() for name in needed):
                return
            for group in range(file.num_row_groups):
                for batch in _sound_rows_of(file, unchecked, group, path):
                    yield batch.select(columns) if columns else batch
    except (pa.ArrowException, OSError, ValueError) as error:
        require_damage(error, path)


def _sound_rows_of(file: pq.ParquetFile, unchecked: pq.ParquetFile, group: int, path: Path) -> Iterator[pa.RecordBatch]:
    names = file.schema_arrow.names
    has_pictures = PICTURES in names and HASH in names
    try:
        rows = file.read_row_group(group, [name for name in names if not (has_pictures and name == PICTURES)])
        if has_pictures:
            rows = rows.append_column(PICTURES, unchecked.read_row_group(group, [PICTURES]).column(PICTURES))
    except (pa.ArrowException, OSError, ValueError) as error:
        require_damage(error, path)
        return
    for batch in rows.select(names).to_batches():
        if has_pictures:
            yield batch.filter(pa.array(map(_is_sound, batch.column(PICTURES), batch.column(HASH)), pa.bool_()))
        else:
            yield batch


def _is_sound(picture: pa.Scalar, checksum: pa.Scalar) -> bool:
    if not (picture.is_valid and checksum.is_valid):
        return not checksum.is_valid
    found = hashlib.md5(picture.as_buffer(), usedforsecurity=False).hexdigest()
    return found == str(checksum.as_py())


def _footer(path: Path) -> bytes | None:
    """The footer of a parquet file, with its length; None if the file does not end as one does."""
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        if size_bytes < _END_BYTES + len(_MAGIC):
            return None
        file.seek(-_END_BYTES, os.SEEK_END)
        end = file.read(_END_BYTES)
        length = int.from_bytes(end[:4], "little") + _END_BYTES
        if end[4:] != _MAGIC or length + len(_MAGIC) > size_bytes:  # a file begins with the magic, too
            return None
        file.seek(-length, os.SEEK_END)
        return file.read(length)


def _crc32(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"
