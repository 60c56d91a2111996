"""Lists in JSON: a document that is a list of URLs or objects (or contains one), and files with an object per line.

A document becomes parquet with columns of text, numbers as they are written. Lines stay text: DuckDB parses them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import UserError
from ray_downloader.sources.coco import coco_images
from ray_downloader.sources.encoding import Utf8Text
from ray_downloader.sources.iiif_documents import iiif_rows, is_iiif
from ray_downloader.sources.lines import tidy_copy
from ray_downloader.sources.locate import READABLE
from ray_downloader.sources.names import URL_NAMES, bare
from ray_downloader.sources.tables import Evidence, Table, TextFormat
from ray_downloader.sources.text import evidence_of, sample_lines, with_places
from ray_downloader.sources.unpack import Scratch

JSON_LINES_ENDINGS = frozenset({".jsonl", ".ndjson", ".jsonlines"})
#: Separates the URLs of one cell; `partition/url_cells.py` gives each a row.
_PART_MARK = "\x1f"
#: Occurs in no line of JSON: control characters are escaped in it.
_NO_DELIMITER = "\x1d"
#: How deep objects in objects are looked at.
_MAX_DEPTH = 4


def write_json_rows(path: Path, shown: str, target: Path) -> Path:
    """Write the rows of a document as parquet, all columns text.

    Args:
        path: The JSON file.
        shown: What the user knows it by.
        target: The parquet file.

    Raises:
        UserError: The file is not JSON, or not a list.
    """
    try:
        document = json.loads(path.read_text("utf-8-sig"), parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown} is not JSON: {error}") from None
    rows = list(map(flattened, _rows(document))) or list(map(flattened, _inner_rows(document)))
    if not rows:
        raise UserError(
            f"{shown} is a JSON document; what can be read: {READABLE}. In JSON that is a list of URLs, a list of "
            "objects with a URL each, or a data set in COCO's form (it has 'images')"
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names}
    pq.write_table(pa.table(columns), target)
    return target


def json_lines_table(text: Utf8Text, shown: str, scratch: Scratch) -> Table | None:
    """The table in a file with one JSON object per line; None if its lines are not objects, or there are none."""
    lines = sample_lines(text.path)
    objects = [flattened(line) for line in map(_object, lines) if line is not None]
    if not objects and any(line.startswith("[") and _is_json(line) for line in lines):
        raise UserError(
            f'{shown} has a JSON list in each line; write an object with names in each: {{"id": ..., "url": ...}}'
        )
    names = tuple(dict.fromkeys(name for row in objects for name in row))
    if not names:
        return None
    path = tidy_copy(text.path, scratch.new_path(text.path.name), None) if text.census.is_untidy else text.path
    evidence = tuple(_evidence(name, objects) for name in names)
    layout = TextFormat(_NO_DELIMITER, "", 0, is_json=True)
    read_as = (text.encoding, "one JSON object in each line")
    return with_places(Table(path, shown, names, layout, (), evidence, read_as), text, scratch)


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def flattened(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the values of nested objects as columns of their own, too: `image.url` beside `image`."""
    found = dict(row)
    for name, value in row.items():
        if isinstance(value, dict):
            for path, inner in _leaves(value, _MAX_DEPTH):
                found.setdefault(f"{name}.{path}", inner)
    return found


def _leaves(value: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if isinstance(inner, dict) and depth > 1:
            yield from ((f"{name}.{path}", leaf) for path, leaf in _leaves(inner, depth - 1))
        else:
            yield name, inner


def _evidence(name: str, objects: list[dict[str, Any]]) -> Evidence:
    texts = [_text(row.get(name)) or "" for row in objects]
    return evidence_of([part for text in texts for part in text.split(_PART_MARK)])


def _rows(document: object) -> Iterator[dict[str, Any]]:
    """The rows of a document; for IIIF documents, the pictures.

    1. A list of objects or of URLs. 2. COCO's `images`, or the only list in a document. 3. Columns by name, as pandas
    writes them. 4. Rows by their id.
    """
    if is_iiif(document):
        yield from iiif_rows(document)
    elif isinstance(document, list):
        yield from ({"url": item} if not isinstance(item, dict) else item for item in document)
    elif isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list) and value]
        if isinstance(document.get("images"), list) and all(isinstance(item, dict) for item in document["images"]):
            yield from _rows(coco_images(document))
        elif len(document) > 1 and len(lists) == len(document) and len(set(map(len, lists))) == 1:
            yield from (dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True))
        elif len(lists) == 1 and any(map(_has_url, lists[0])):
            yield from _rows(lists[0])
        elif _has_url(document) and not any(isinstance(value, dict) for value in document.values()):
            yield document
        elif document and all(isinstance(value, dict) for value in document.values()):
            yield from _keyed_rows(document)
        elif document and all(isinstance(value, str) and _has_url(value) for value in document.values()):
            yield from ({"id": key, "url": value} for key, value in document.items())


def _inner_rows(document: object) -> Iterator[dict[str, Any]]:
    """The rows of the only list somewhere in a document."""
    inner = list(_inner_lists(document, _MAX_DEPTH)) if isinstance(document, dict) else []
    if len(inner) == 1:
        yield from _rows(inner[0])


def _inner_lists(document: Mapping[str, Any], depth: int) -> Iterator[list[Any]]:
    """Lists of URLs, or of objects with one, in the objects of a document: `{"data": {"items": [...]}}`, GeoJSON."""
    for value in document.values():
        if isinstance(value, list) and any(_has_inner_url(item) for item in value):
            yield value
        elif isinstance(value, dict) and depth:
            yield from _inner_lists(value, depth - 1)


def _has_inner_url(item: object) -> bool:
    if not isinstance(item, dict):
        return _has_url(item)
    return _has_url(item) or any(_has_inner_url(value) for value in item.values() if isinstance(value, dict))


def _keyed_rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if any(bare(name) in _URL_KEYS for name in document):
        keys = dict.fromkeys(key for column in document.values() for key in column)
        yield from ({name: column.get(key) for name, column in document.items()} for key in keys)
    elif any(map(_has_url, document.values())):
        yield from ({"id": key, **value} for key, value in document.items())


_URL_KEYS = frozenset(map(bare, URL_NAMES))


def _has_url(item: object) -> bool:
    if isinstance(item, dict):
        return any(bare(name) in _URL_KEYS for name in item)
    return isinstance(item, str) and ("://" in item or item.startswith("//"))


def _text(value: object) -> str | None:
    """A value as text; several URLs are separated, so that each gets a row."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        named = [value[name] for name in value if bare(name) in _URL_KEYS | {"path"} and isinstance(value[name], str)]
        return named[0] if named else json.dumps(value)
    if isinstance(value, list) and any(map(_has_url, value)):
        return _PART_MARK.join(text for item in value if (text := _text(item)))
    return json.dumps(value)
