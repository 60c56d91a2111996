"""Darwin Core Archives: the media table is found by its descriptor or by its name, in zips and folders."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from tests.support.lists import GBIF, Partitioned, partitioned

U = "http://a.example/1.jpg"
V = "http://a.example/2.jpg"
GBIF_MEDIA = f"gbifID\ttype\tidentifier\n1\tStillImage\t{U}\n2\tStillImage\t{V}\n"
OCCURRENCE = "gbifID\tbasisOfRecord\n1\tMATERIAL_CITATION\n"
_NUMBERS = itertools.count()


def _meta(
    file: str, fields: str, attributes: str = "", row_type: str = "http://rs.gbif.org/terms/1.0/Multimedia"
) -> str:
    return (
        '<?xml version="1.0"?><archive xmlns="http://rs.tdwg.org/dwc/text/">'
        '<core rowType="http://rs.tdwg.org/dwc/terms/Occurrence"><files><location>occurrence.txt</location></files></core>'
        f'<extension rowType="{row_type}" {attributes}><files><location>{file}</location></files>'
        f'<coreid index="0"/>{fields}</extension></archive>'
    )


def _zip(tmp_path: Path, members: Mapping[str, str | bytes]) -> Path:
    path = tmp_path / f"archive{next(_NUMBERS)}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _run(tmp_path: Path, members: Mapping[str, str | bytes], dataset: object = None) -> Partitioned:
    return partitioned(_zip(tmp_path, members), tmp_path / "out", dataset)  # type: ignore[arg-type]


def test_a_zip_without_descriptor_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    result = _run(tmp_path, {"multimedia.txt": GBIF_MEDIA, "occurrence.txt": OCCURRENCE, "rights.txt": "x"}, GBIF)
    assert result.identifiers() == [V]
    assert result.rejected()[0]["file"].endswith(".zip/multimedia.txt")


def test_an_archive_may_lie_in_a_folder_of_its_zip(tmp_path: Path) -> None:
    members = {"__MACOSX/multimedia.txt": "x", "d/multimedia.txt": GBIF_MEDIA, "d/occurrence.txt": OCCURRENCE}
    assert _run(tmp_path, members, GBIF).identifiers() == [V]


def test_the_descriptor_tells_file_delimiter_quoting_and_columns(tmp_path: Path) -> None:
    fields = (
        '<field index="1" term="http://rs.tdwg.org/ac/terms/accessURI"/>'
        '<field index="2" term="http://purl.org/dc/terms/title"/>'
    )
    meta = _meta(
        "media.csv",
        fields,
        'fieldsTerminatedBy=";" fieldsEnclosedBy="\'" encoding="ISO-8859-1"',
        "http://rs.tdwg.org/ac/terms/Multimedia",
    )
    members: dict[str, str | bytes] = {"meta.xml": meta, "media.csv": f"1;{U};'a;b é'\n2;{V};c\n".encode("latin-1")}
    result = _run(tmp_path, members)
    assert [(row["identifier"], row["title"]) for row in result.rows()] == [(U, "a;b é"), (V, "c")]


def test_header_lines_are_skipped_as_the_descriptor_says(tmp_path: Path) -> None:
    fields = '<field index="1" term="http://purl.org/dc/terms/identifier"/>'
    meta = _meta("m.txt", fields, 'fieldsTerminatedBy="\\t" fieldsEnclosedBy="" ignoreHeaderLines="1"')
    assert _run(tmp_path, {"meta.xml": meta, "m.txt": f"id\turl\n1\t{U}\n"}).identifiers() == [U]


def test_a_folder_with_a_media_table_is_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    for name, content in {"multimedia.txt": GBIF_MEDIA, "occurrence.txt": OCCURRENCE, "citations.txt": "x"}.items():
        (folder / name).write_text(content)
    assert partitioned(folder, tmp_path / "out", GBIF).identifiers() == [V]
    assert partitioned(tmp_path / "arch*", tmp_path / "out", GBIF).identifiers() == [V]


def test_several_archives_are_read_together(tmp_path: Path) -> None:
    _zip(tmp_path, {"multimedia.txt": GBIF_MEDIA})
    _zip(tmp_path, {"multimedia.txt": GBIF_MEDIA.replace("a.example", "b.example"), "occurrence.txt": OCCURRENCE})
    summary = partitioned(tmp_path / "*.zip", tmp_path / "out", GBIF).summary
    assert (summary.accepted_rows, summary.rejected_by_reason) == (2, {"material_citation": 2})


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"a.csv": "x"}, "has no table of media .* it holds: a.csv"),
        ({}, "it holds: nothing"),
        ({"meta.xml": "<archive", "multimedia.txt": GBIF_MEDIA}, "is not a descriptor of a Darwin Core Archive"),
        ({"meta.xml": _meta("gone.txt", "")}, "names gone.txt, which is not there"),
        ({"meta.xml": _meta("m.txt", '<field index="7" term="x/identifier"/>'), "m.txt": U}, "only 1 columns"),
        ({"meta.xml": _meta("m.txt", "", 'encoding="klingon"'), "m.txt": U}, "'klingon', which is unknown"),
        ({"multimedia.txt": ""}, "has no rows"),
        ({"multimedia.txt": "identifier\n"}, "has no rows"),
    ],
)
def test_what_is_wrong_with_an_archive_is_one_sentence(
    tmp_path: Path, members: Mapping[str, str | bytes], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        _run(tmp_path, members)
    assert "\n" not in str(caught.value)


def test_a_zip_that_is_none_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("<html>not found</html>")
    with pytest.raises(UserError, match="is not a zip archive"):
        partitioned(tmp_path / "a.zip", tmp_path / "out")
    path = _zip(tmp_path, {"multimedia.txt": GBIF_MEDIA * 100})
    damaged = bytearray(path.read_bytes())
    damaged[60:90] = bytes(30)
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"multimedia\.txt in .* cannot be unpacked"):
        partitioned(path, tmp_path / "out", GBIF)
