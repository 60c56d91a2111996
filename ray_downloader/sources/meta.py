"""Reads `meta.xml`, the descriptor of a Darwin Core Archive (https://dwc.tdwg.org/text/)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from xml.etree import ElementTree

from ray_downloader.errors import UserError

META_FILE = "meta.xml"
_NAMESPACE = "{http://rs.tdwg.org/dwc/text/}"
_MEDIA_ROW_TYPES = frozenset(
    {
        "http://rs.gbif.org/terms/1.0/multimedia",
        "http://rs.gbif.org/terms/1.0/image",
        "http://rs.tdwg.org/ac/terms/multimedia",
    }
)
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What the descriptor says of one file.

    Args:
        file: Its name, without folders.
        row_type: What its rows are, as a URI.
        encoding: Of its text.
        delimiter: Between cells.
        quote: Around cells, or empty.
        header_lines: Lines before the first row.
        names: Short name of the column at each position that is described.
    """

    file: str
    row_type: str
    encoding: str
    delimiter: str
    quote: str
    header_lines: int
    names: Mapping[int, str]


def is_media(description: TableDescription) -> bool:
    """Whether the rows are media."""
    return description.row_type.lower() in _MEDIA_ROW_TYPES


def parse_meta(xml: bytes, shown: str) -> list[TableDescription]:
    """Every file that the descriptor describes, the core first.

    Raises:
        UserError: It is no XML.
    """
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise UserError(f"{shown} is not a descriptor of a Darwin Core Archive: {error}") from None
    tables = [*root.iter(f"{_NAMESPACE}core"), *root.iter(f"{_NAMESPACE}extension")]
    return [_describe(table, location) for table in tables for location in _locations(table)]


def _locations(table: ElementTree.Element) -> list[str]:
    found = (location.text or "" for location in table.iter(f"{_NAMESPACE}location"))
    return [PurePosixPath(text.strip()).name for text in found if text.strip()]


def _describe(table: ElementTree.Element, file: str) -> TableDescription:
    lines = table.get("ignoreHeaderLines", "0").strip()
    return TableDescription(
        file=file,
        row_type=table.get("rowType", "").strip(),
        encoding=table.get("encoding", "").strip() or "utf-8",
        delimiter=_unescaped(table.get("fieldsTerminatedBy", ",")) or ",",
        quote=_unescaped(table.get("fieldsEnclosedBy", '"')),
        header_lines=int(lines) if lines.isdigit() else 0,
        names=_names(table),
    )


def _names(table: ElementTree.Element) -> dict[int, str]:
    names: dict[int, str] = {}
    for key in table.findall(f"{_NAMESPACE}coreid") + table.findall(f"{_NAMESPACE}id"):
        names |= {_index(key): "coreid"} if _index(key) >= 0 else {}
    for field in table.findall(f"{_NAMESPACE}field"):
        if _index(field) >= 0:
            names[_index(field)] = re.split("[/#:]", field.get("term", "").strip())[-1]
    return names


def _index(element: ElementTree.Element) -> int:
    text = element.get("index", "").strip()
    return int(text) if text.isdigit() else -1


def _unescaped(text: str) -> str:
    return re.sub(r"\\[tnr\\]", lambda match: _ESCAPES[match.group()], text)
