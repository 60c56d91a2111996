"""GBIF's rows: which are images, which records are dropped, and how occurrence.txt is joined."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from tests.support.lists import GBIF, Partitioned, partitioned, real_data

pytestmark = pytest.mark.stage

HEADER = "gbifID\ttype\tformat\tidentifier\ttitle\tsource\tlicense\n"


def _media(*rows: tuple[str, str, str, str]) -> str:
    return HEADER + "".join("\t".join([*row, 'A "title', "", "CC0"]) + "\n" for row in rows)


def _url(number: int) -> str:
    return f"http://a.example/{number}.jpg"


def _images(count: int) -> str:
    return _media(*((str(n), "StillImage", "image/jpeg", _url(n)) for n in range(count)))


def _run(tmp_path: Path, media: str, occurrence: str | bytes | None = None, **dataset: object) -> Partitioned:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "multimedia.txt").write_text(media)
    if occurrence is not None:
        (folder / "occurrence.txt").write_bytes(occurrence if isinstance(occurrence, bytes) else occurrence.encode())
    return partitioned(folder / "multimedia.txt", tmp_path / "out", {**GBIF, **dataset})


def test_type_decides_and_format_where_there_is_no_type(tmp_path: Path) -> None:
    reasons = {
        ("StillImage", "image/jpeg"): None,
        ("StillImage", ""): None,
        ("StillImage", "text/html"): None,
        ("stillimage", ""): None,
        ("http://purl.org/dc/dcmitype/StillImage", ""): None,
        ("", "image/png"): None,
        ("", "jpeg"): None,
        ("", "JPG"): None,
        ("", "IMAGE"): None,
        ("", ""): "not_an_image",
        ("", "audio/mpeg"): "not_an_image",
        ("", "text/html"): "not_an_image",
        ("Sound", "image/png"): "not_an_image",
        ("MovingImage", "video/mp4"): "not_an_image",
    }
    media = [(str(number), *stated, _url(number)) for number, stated in enumerate(reasons)]
    found = {row["source_id"]: row["reason"] for row in _run(tmp_path, _media(*media)).rejected()}
    assert {stated: found.get(str(number)) for number, stated in enumerate(reasons)} == reasons


def test_a_row_needs_an_id_and_a_url(tmp_path: Path) -> None:
    result = _run(
        tmp_path, _media(("", "StillImage", "", _url(1)), ("2", "", "", " "), ("3 ", "StillImage", "", _url(3)))
    )
    assert {(row["source_id"], row["reason"]) for row in result.rejected()} == {
        (None, "no_source_id"),
        ("2", "no_identifier"),
    }
    assert [row["source_id"] for row in result.rows()] == ["3"]


def test_quotes_are_characters_like_any_other(tmp_path: Path) -> None:
    assert [row["title"] for row in _run(tmp_path, _images(3)).rows()] == ['A "title'] * 3


def test_columns_are_found_in_any_order(tmp_path: Path) -> None:
    media = f"identifier\tformat\tgbifID\n{_url(1)}\timage/jpeg\t7\n"
    assert [row["source_id"] for row in _run(tmp_path, media).rows()] == ["7"]


def test_cut_and_damaged_lines_are_rejected_one_by_one(tmp_path: Path) -> None:
    media = _images(3) + "4\tStillImage\n" + "5\tStillImage\t\t" + _url(5) + "\t\t\t\tsurplus\n"
    assert _run(tmp_path, media).summary.rejected_by_reason == {"unparsable_line": 2}


@pytest.mark.parametrize("setting", ["MATERIAL_CITATION", "MaterialCitation", "material citation"])
def test_records_of_a_dropped_basis_are_rejected_in_any_spelling(tmp_path: Path, setting: str) -> None:
    spellings = ["MATERIAL_CITATION", "MaterialCitation", "Material Citation", " material citation "]
    records = "".join(f"\t {number} \t\t{basis}\r\n" for number, basis in enumerate(spellings))
    occurrence = f"license\tgbifID\tlicense\tbasisOfRecord\r\n{records}\t4\t\tHUMAN_OBSERVATION\r\n"
    result = _run(tmp_path, _images(6), occurrence, drop_basis_of_record=[setting])
    assert {row["source_id"]: row["reason"] for row in result.rejected()} == dict.fromkeys("0123", "material_citation")


def test_several_bases_can_be_dropped_each_with_its_reason(tmp_path: Path) -> None:
    occurrence = "gbifID\tbasisOfRecord\n0\tFOSSIL_SPECIMEN\n1\tMaterialCitation\n1\tMaterialCitation\n"
    result = _run(tmp_path, _images(3), occurrence, drop_basis_of_record=["FossilSpecimen", "MATERIAL_CITATION"])
    assert result.summary.rejected_by_reason == {"fossil_specimen": 1, "material_citation": 1}


def test_nothing_is_dropped_if_nothing_is_to_be(tmp_path: Path) -> None:
    occurrence = "gbifID\tbasisOfRecord\n0\tMATERIAL_CITATION\n"
    assert _run(tmp_path, _images(1), occurrence, drop_basis_of_record=[]).summary.accepted_rows == 1


def test_a_list_joined_beforehand_has_the_basis_itself(tmp_path: Path) -> None:
    media = "gbifID\ttype\tidentifier\tbasisOfRecord\n" + "".join(
        f"{n}\tStillImage\t{_url(n)}\t{basis}\n" for n, basis in enumerate(["MaterialCitation", "", "OBSERVATION"])
    )
    assert _run(tmp_path, media).summary.rejected_by_reason == {"material_citation": 1}


def test_damaged_occurrences_do_not_stop_the_join(tmp_path: Path) -> None:
    occurrence = b"gbifID\tbasisOfRecord\n0\n\xe9\tx\n1\tMATERIAL_CITATION\n"
    result = _run(tmp_path, _images(3), occurrence)
    assert result.summary.rejected_by_reason == {"material_citation": 1}


def test_real_occurrences_with_doubled_columns_and_crlf_are_joined(tmp_path: Path) -> None:
    lines = real_data("lists/gbif/jaguar_occurrence_excerpt.txt").read_text("utf-8").splitlines()
    id_at = lines[0].split("\t").index("gbifID")
    ids = [line.split("\t")[id_at] for line in lines[1:]]
    media = _media(*((id_, "StillImage", "", _url(n)) for n, id_ in enumerate(ids)))
    occurrence = real_data("lists/gbif/jaguar_occurrence_excerpt.txt").read_bytes()
    summary = _run(tmp_path, media, occurrence).summary
    assert summary.rejected_by_reason == {"material_citation": 146}


def test_an_archive_of_the_simple_format_has_no_media(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "0001234.zip", "w") as archive:
        archive.writestr("0001234.csv", "gbifID\tdatasetKey\tmediaType\n1\tx\tStillImage\n")
    with pytest.raises(UserError, match=r"no table of media.*it holds: 0001234\.csv.*'Darwin Core Archive'"):
        partitioned(tmp_path / "0001234.zip", tmp_path / "out", GBIF)
    (tmp_path / "0001234.csv").write_text("gbifID\tdatasetKey\tmediaType\n1\tx\tStillImage\n")
    with pytest.raises(UserError, match=r"no column 'identifier'; its columns are: gbifID.*'Darwin Core Archive'"):
        partitioned(tmp_path / "0001234.csv", tmp_path / "out", GBIF)
