"""The demo's input: a folder shaped like an unpacked GBIF download, with the oddities that real ones have.

`multimedia.txt` and `occurrence.txt` are tab-separated without quoting, as GBIF writes them. Every row has its
`Oddity`; `REJECTED_ODDITIES` has the reason for which rows that cannot be downloaded are rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from ray_downloader.demo.scenario import DemoImage, Fault, demo_images

MULTIMEDIA_COLUMNS = [
    *("gbifID", "type", "format", "identifier", "references", "title", "description", "source", "audience"),
    *("created", "creator", "contributor", "publisher", "license", "rightsHolder"),
]
OCCURRENCE_COLUMNS = ["datasetKey", "gbifID", "basisOfRecord", "scientificName", "locality"]

_FIRST_GBIF_ID = 2_803_144_000
_LICENSES = (
    "http://creativecommons.org/licenses/by-nc/4.0/",
    "http://creativecommons.org/publicdomain/zero/1.0/legalcode",
    "CC BY 4.0",
    "© All rights reserved",
    "",
)
_CREATORS = ("Eirik Våg", "María-José Núñez", "田中 花子", 'Joseph "Joe" Banks', "O'Brien, K.", "")
_TITLES = ("Rosa canina L.", 'specimen "type', "Ængelsk græs", "", "Quercus × hispanica")
_BASES = ("PRESERVED_SPECIMEN", "HUMAN_OBSERVATION", "MATERIAL_SAMPLE", "UNKNOWN")
_CITATION_SPELLINGS = ("MATERIAL_CITATION", "MaterialCitation", "material citation")


class Oddity(str, Enum):
    """What is unusual about a row of the list."""

    NONE = "none"
    NO_MEDIA_TYPE = "no_media_type"
    SHORT_FORMAT = "short_format"
    TRAILING_SPACE = "trailing_space"
    UPPER_CASE_HOST = "upper_case_host"
    USER_INFO = "user_info"
    DEFAULT_PORT = "default_port"
    QUERY = "query"
    REPEATED = "repeated"
    CITATION = "citation"
    NO_IDENTIFIER = "no_identifier"
    SOUND = "sound"
    BAD_URL = "bad_url"
    BROKEN_LINE = "broken_line"


#: Rows that cannot be downloaded, and the reason in `rejected.parquet`.
REJECTED_ODDITIES: Mapping[Oddity, str] = {
    Oddity.CITATION: "material_citation",
    Oddity.NO_IDENTIFIER: "no_identifier",
    Oddity.SOUND: "not_an_image",
    Oddity.BAD_URL: "bad_url",
    Oddity.BROKEN_LINE: "unparsable_line",
}


@dataclass(frozen=True, slots=True)
class ListedRow:
    """One line of `multimedia.txt`; `line` replaces the fields where the line is broken."""

    gbif_id: str
    identifier: str
    oddity: Oddity = Oddity.NONE
    media_type: str = "StillImage"
    media_format: str = "image/jpeg"
    fault: Fault = Fault.NONE
    line: str | None = None


def listed_rows() -> tuple[ListedRow, ...]:
    """Every row of the list, in the order of the file; always the same."""
    images = [_listed(index, image) for index, image in enumerate(demo_images())]
    repeated = [replace(row, oddity=Oddity.REPEATED, gbif_id=f"{row.gbif_id}7") for row in images[:420:10]]
    rows = [*images, *repeated, *_undownloadable()]
    # Interleaved by a stride that is coprime to the length, as real lists are not sorted by server.
    return tuple(rows[(index * 997) % len(rows)] for index in range(len(rows)))


def write_archive(folder: Path) -> Path:
    """Write `multimedia.txt` and `occurrence.txt` into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = listed_rows()
    _write_table(folder / "multimedia.txt", MULTIMEDIA_COLUMNS, (_multimedia_line(row) for row in rows))
    _write_table(folder / "occurrence.txt", OCCURRENCE_COLUMNS, _occurrence_lines(rows))
    return folder


def _listed(index: int, image: DemoImage) -> ListedRow:
    """A row that can be downloaded; some have one of the harmless oddities."""
    row = ListedRow(str(_FIRST_GBIF_ID + index), image.url, media_format=f"image/{image.format}", fault=image.fault)
    host = image.server.host
    changes: dict[int, ListedRow] = {
        1: replace(row, oddity=Oddity.NO_MEDIA_TYPE, media_type=""),
        2: replace(row, oddity=Oddity.SHORT_FORMAT, media_format=image.format),
        3: replace(row, oddity=Oddity.TRAILING_SPACE, gbif_id=f"{row.gbif_id} "),
        4: replace(row, oddity=Oddity.UPPER_CASE_HOST, identifier=image.url.replace(host, host.upper())),
        5: replace(row, oddity=Oddity.USER_INFO, identifier=image.url.replace("://", "://guest:guest@")),
        6: replace(row, oddity=Oddity.DEFAULT_PORT, identifier=_with_port(image)),
        7: replace(row, oddity=Oddity.QUERY, identifier=f"{quote(image.url, safe=':/~')}?1625090991"),
    }
    return changes.get(index % 40, row)


def _with_port(image: DemoImage) -> str:
    return f"http://{image.server.host}:{image.server.port}{image.path}"


def _undownloadable() -> Iterator[ListedRow]:
    """Rows that have to be rejected."""
    ids = (str(_FIRST_GBIF_ID + 50_000 + index) for index in range(1_000))
    for number in range(11):
        yield ListedRow(next(ids), "", Oddity.NO_IDENTIFIER, media_type="" if number % 2 else "StillImage")
    for number in range(33):
        sound = f"http://sounds.museum.example/XC{number}.mp3"
        yield ListedRow(next(ids), sound, Oddity.SOUND, media_type="Sound", media_format="audio/mpeg")
    for number in range(15):
        yield ListedRow(next(ids), f"http://images.museum.example/plates/{number}.jpeg", Oddity.CITATION)
    for url in ("http://", "ftp://images.museum.example/1.jpeg", r"C:\Fotos\IMG_1.JPG", "http://[::1/a.jpeg", "n/a"):
        yield ListedRow(next(ids), url, Oddity.BAD_URL)
    for number in range(4):
        yield ListedRow(
            "", "", Oddity.BROKEN_LINE, line=f"... continued from the label, line {number + 2}: seen from below"
        )


def _multimedia_line(row: ListedRow) -> str:
    if row.line is not None:
        return row.line
    pick = sum(row.gbif_id.encode())
    values = {
        "gbifID": row.gbif_id,
        "type": row.media_type,
        "format": row.media_format if row.identifier else "",
        "identifier": row.identifier,
        "references": f"http://occurrences.example/{row.gbif_id.strip()}",
        "title": _TITLES[pick % len(_TITLES)],
        "creator": _CREATORS[pick % len(_CREATORS)],
        "publisher": "Demo Museum",
        "license": _LICENSES[pick % len(_LICENSES)],
        "rightsHolder": _CREATORS[(pick + 1) % len(_CREATORS)],
    }
    return "\t".join(values.get(column, "") for column in MULTIMEDIA_COLUMNS)


def _occurrence_lines(rows: tuple[ListedRow, ...]) -> Iterator[str]:
    bases = {row.gbif_id.strip(): _basis_of_record(row) for row in rows if row.line is None}
    for gbif_id, basis in bases.items():
        yield f'7e380070-f762-11e1-a439-00145eb45e9a\t{gbif_id}\t{basis}\tRosa canina L.\t"the old quarry'


def _basis_of_record(row: ListedRow) -> str:
    pick = sum(row.gbif_id.encode())
    spellings = _CITATION_SPELLINGS if row.oddity is Oddity.CITATION else _BASES
    return spellings[pick % len(spellings)]


def _write_table(path: Path, columns: list[str], lines: Iterator[str]) -> None:
    path.write_text("\n".join(["\t".join(columns), *lines]) + "\n", "utf-8")
