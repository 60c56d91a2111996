"""Reads `meta.xml`, the descriptor of a Darwin Core Archive (https://dwc.tdwg.org/text/)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.etree import ElementTree

from ray_downloader.errors import UserError

META_FILE = "meta.xml"
#: Simple Multimedia, Simple Images (rs.gbif.org), Audubon Core (rs.tdwg.org/ac), EOL's media (eol.org/schema), in
#: every spelling of the URI that archives use.
_MEDIA_ROW_TYPE = re.compile(
    r"(?:^|[/#:])(?:multimedia|images?|audiovisual|(?:eol\.org/schema/)?media(?:/document)?)$", re.I
)
#: Name of the column that links to the row of the core, if it has no term of its own.
_CORE_ID_NAME = "coreid"
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What the descriptor states about one file.

    Args:
        file: Its name, without folders.
        row_type: What its rows are, as a URI.
        encoding: Of its text.
        delimiter: Between cells.
        quote: Around cells, or empty.
        header_lines: Lines before the first row.
        names: Short name of the column at each position that is described.
        is_core: Whether it is the core, which the other tables extend.
        core_id: Position of the column with the id of the core's row.
        defaults: Values by short name of the column, for empty cells and for columns that the file does not have.
    """

    file: str
    row_type: str
    encoding: str
    delimiter: str
    quote: str
    header_lines: int
    names: Mapping[int, str]
    is_core: bool
    core_id: int | None
    defaults: Mapping[str, str]


def is_media(description: TableDescription) -> bool:
    """Whether the rows are media."""
    return bool(_MEDIA_ROW_TYPE.search(description.row_type.rstrip("/")))


def parse_meta(xml: bytes, shown: str) -> list[TableDescription]:
    """Every file that the descriptor describes, the core first.

    Raises:
        UserError: It is not XML.
    """
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise UserError(f"{shown} is not a descriptor of a Darwin Core Archive: {error}") from None
    tables = [*_named(root, "core"), *_named(root, "extension")]
    return [_describe(table, location) for table in tables for location in _locations(table)]


def _named(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Elements below it of that name, in any namespace: archives spell it in several ways, or omit it."""
    return [found for found in element.iter() if found.tag.rpartition("}")[2] == name]


def _locations(table: ElementTree.Element) -> list[str]:
    found = (location.text or "" for location in _named(table, "location"))
    return [PurePosixPath(text.strip()).name for text in found if text.strip()]


def _describe(table: ElementTree.Element, file: str) -> TableDescription:
    lines = table.get("ignoreHeaderLines", "0").strip()
    ids = [_index(key) for key in (*_named(table, "coreid"), *_named(table, "id")) if _index(key) >= 0]
    fields = [(_index(field), _short(field.get("term", "")), field.get("default")) for field in _named(table, "field")]
    return TableDescription(
        file=file,
        row_type=table.get("rowType", "").strip(),
        encoding=table.get("encoding", "").strip() or "utf-8",
        delimiter=_unescaped(table.get("fieldsTerminatedBy", ",")) or ",",
        quote=_unescaped(table.get("fieldsEnclosedBy", '"')),
        header_lines=int(lines) if lines.isdigit() else 0,
        names=dict.fromkeys(ids, _CORE_ID_NAME) | {index: name for index, name, _ in fields if index >= 0},
        is_core=bool(table.tag.endswith("core")),
        core_id=ids[0] if ids else None,
        defaults={name: default.strip() for _, name, default in fields if default and default.strip()},
    )


def _short(term: str) -> str:
    return re.split("[/#:]", term.strip())[-1]


def _index(element: ElementTree.Element) -> int:
    text = element.get("index", "").strip()
    return int(text) if text.isdigit() else -1


def _unescaped(text: str) -> str:
    return re.sub(r"\\[tnr\\]", lambda match: _ESCAPES[match.group()], text)
