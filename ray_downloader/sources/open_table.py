"""Opens one file of a list as a table: unwraps it, and reads it as its name and first bytes say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.sources.archive import ArchiveTable
from ray_downloader.sources.dialect import TextRules
from ray_downloader.sources.encoding import as_utf8
from ray_downloader.sources.json_documents import JSON_LINES_ENDINGS, json_lines_table, write_json_rows
from ray_downloader.sources.locate import list_name
from ray_downloader.sources.names import URL_NAMES, bare
from ray_downloader.sources.tables import Evidence, Table
from ray_downloader.sources.text import described_text_table, evidence_of, read_text_table
from ray_downloader.sources.unpack import Scratch, decompress, file_kind, is_of_the_system

_SAMPLE_ROWS = 200


@dataclass(frozen=True, slots=True)
class TableOpener:
    """Opens files of one dataset.

    Args:
        rules: How text is read.
        scratch: Where copies go.
    """

    rules: TextRules
    scratch: Scratch

    def text(self, found: ArchiveTable) -> Table | None:
        """A text table; None if it has no row.

        Raises:
            UserError: It is not text, or cannot be read.
        """
        shown, description = found.shown, found.description
        path = decompress(found.path, shown, self.scratch)
        ending = Path(list_name(shown)).suffix
        kind = file_kind(path)
        if kind and not (kind == "a JSON document" and ending in JSON_LINES_ENDINGS):
            raise UserError(f"{shown} is {kind}, not the text that its name promises")
        declared = description.encoding if description else None
        text = as_utf8(path, shown, self.scratch, self.rules.encoding, declared)
        if description:
            return described_text_table(text, shown, description, self.scratch)
        if ending in JSON_LINES_ENDINGS and (table := json_lines_table(text, shown, self.scratch)):
            return table
        return read_text_table(text, shown, ending, self.rules, self.scratch)

    def json(self, path: Path, shown: str) -> Table | None:
        """The rows of a JSON document, or of a file of JSON lines with such a name; None if it has no row.

        Raises:
            UserError: It is not a list.
        """
        text = as_utf8(path, shown, self.scratch, self.rules.encoding)
        if is_json_lines(text.path) and (table := json_lines_table(text, shown, self.scratch)):
            return table
        target = self.scratch.new_path(f"{path.stem}.parquet")
        return self.parquet(write_json_rows(text.path, shown, target), shown, ("JSON",))

    def arrow(self, path: Path, shown: str) -> Table | None:
        """The rows of an Arrow or Feather file.

        Raises:
            UserError: It is not sound.
        """
        target = self.scratch.new_path(f"{path.stem}.parquet")
        try:
            with pa.memory_map(str(path)) as source, open_arrow(source) as batches:
                writer = pq.ParquetWriter(target, batches.schema)
                with writer:
                    for number in range(getattr(batches, "num_record_batches", 0)):
                        writer.write_batch(batches.get_batch(number))
                    for batch in () if hasattr(batches, "num_record_batches") else batches:
                        writer.write_batch(batch)
        except (pa.ArrowException, OSError, NotImplementedError) as error:
            if is_of_the_system(error):
                raise
            raise UserError(f"{shown} is not a sound Arrow file: {str(error).splitlines()[0]}") from None
        return self.parquet(target, shown, ("Arrow",))

    def parquet(self, path: Path, shown: str, read_as: Sequence[str] = ("parquet",)) -> Table | None:
        """The rows of a parquet file; None if it has no rows.

        Raises:
            UserError: It is not sound.
        """
        try:
            with pq.ParquetFile(path) as file:
                if not file.metadata.num_rows:
                    return None
                schema = file.schema_arrow
                types = tuple(str(kind) for kind in schema.types)
                return Table(path, shown, tuple(schema.names), None, types, _evidence(file), tuple(read_as))
        except (pa.ArrowException, OSError) as error:
            if is_of_the_system(error):
                raise
            kinds = {None: "not a parquet file", "a parquet file": "a damaged parquet file"}
            kind = file_kind(path)
            raise UserError(f"{shown} is {kinds.get(kind, kind)}: {str(error).splitlines()[0]}") from None


def open_arrow(source: pa.NativeFile) -> Any:
    """A reader of an Arrow file or, if it is not one, of an Arrow stream."""
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def is_json_lines(path: Path) -> bool:
    """Whether the first line is a complete JSON object, and others follow."""
    with path.open("rb") as file:
        first, second = file.readline(), file.readline()
    try:
        return isinstance(json.loads(first), dict) and second.lstrip().startswith(b"{")
    except ValueError:
        return False


def _evidence(file: pq.ParquetFile) -> tuple[Evidence, ...]:
    """What the cells of columns look like; columns that cannot hold URLs are not read."""
    schema = file.schema_arrow
    readable = [name for name, kind in zip(schema.names, schema.types, strict=True) if _may_hold_urls(kind)]
    if not readable:
        return (Evidence(),) * len(schema.names)
    found: dict[str, Evidence] = {}
    for batch in file.iter_batches(_SAMPLE_ROWS, columns=readable, use_threads=False):
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            found.setdefault(name, evidence_of([text for value in values.to_pylist() for text in _texts(value)]))
        break
    return tuple(found.get(name, Evidence()) for name in schema.names)


def _may_hold_urls(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _may_hold_urls(kind.value_type)
    if pa.types.is_struct(kind):
        return any(bare(field.name) in _URL_FIELDS and pa.types.is_string(field.type) for field in kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))


_URL_FIELDS = frozenset(map(bare, (*URL_NAMES, "path")))


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value[:1000].decode("utf-8", "replace")
    elif isinstance(value, list):
        yield from (text for item in value[:3] for text in _texts(item))
    elif isinstance(value, dict):
        yield from (text for name, item in value.items() if bare(name) in _URL_FIELDS for text in _texts(item))
