"""What a user needs afterwards: columns carried through, where a licence is from, licences wanted, listed checksums."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from ray_downloader.partition.kept import columns_to_keep
from ray_downloader.sources.tables import Table
from tests.support.lists import GBIF, Partitioned, partitioned, real_data

MEDIA = (
    "gbifID\ttype\tidentifier\ttitle\tlicense\n"
    "1\tStillImage\thttp://a.example/1.jpg\tOne\thttp://creativecommons.org/licenses/by/4.0/\n"
    "2\tStillImage\thttp://a.example/2.jpg\tTwo\t\n"
    "3\tStillImage\thttp://a.example/3.jpg\tThree\t\n"
)
OCCURRENCE = (
    "gbifID\tdatasetKey\tbasisOfRecord\tscientificName\ttitle\tlicense\n"
    "1\tkey-a\tHUMAN_OBSERVATION\tAus bus\tof the record\tCC0_1_0\n"
    "2\tkey-b\tHUMAN_OBSERVATION\tCus dus\t\tCC_BY_NC_4_0\n"
)


def _archive(tmp_path: Path, occurrence: str = OCCURRENCE, **dataset: object) -> Partitioned:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "multimedia.txt").write_text(MEDIA)
    (folder / "occurrence.txt").write_text(occurrence)
    return partitioned(folder, tmp_path / "out", {**GBIF, **dataset})


def _column(result: Partitioned, name: str) -> dict[str, object]:
    return {row["source_id"]: row[name] for row in result.rows()}


def test_columns_are_carried_from_the_media_table_or_else_from_the_occurrences(tmp_path: Path) -> None:
    result = _archive(tmp_path, keep=["scientificName", "TYPE"])
    assert _column(result, "keep.scientificName") == {"1": "Aus bus", "2": "Cus dus", "3": None}
    assert _column(result, "keep.TYPE") == dict.fromkeys("123", "StillImage")


def test_gbif_always_keeps_what_citing_needs(tmp_path: Path) -> None:
    result = _archive(tmp_path)
    assert _column(result, "keep.datasetKey") == {"1": "key-a", "2": "key-b", "3": None}
    assert _column(result, "keep.gbifID") == {"1": "1", "2": "2", "3": "3"}


def test_a_media_table_alone_has_the_same_columns(tmp_path: Path) -> None:
    (tmp_path / "multimedia.txt").write_text(MEDIA)
    assert _column(
        partitioned(tmp_path / "multimedia.txt", tmp_path / "out", GBIF), "keep.datasetKey"
    ) == dict.fromkeys("123")


def test_a_licence_that_the_medium_lacks_is_its_occurrences(tmp_path: Path) -> None:
    result = _archive(tmp_path)
    assert _column(result, "license")["2"] == "CC_BY_NC_4_0"
    assert _column(result, "license_from") == {"1": "media", "2": "occurrence", "3": None}


def test_an_occurrence_that_is_listed_twice_makes_no_row_twice(tmp_path: Path) -> None:
    result = _archive(tmp_path, OCCURRENCE + "2\tkey-c\tHUMAN_OBSERVATION\tX\t\tCC_BY_4_0\n", keep=["scientificName"])
    assert result.summary.input_rows == 3
    row = next(row for row in result.rows() if row["source_id"] == "2")
    assert (row["license"], row["keep.datasetKey"], row["keep.scientificName"]) in {
        ("CC_BY_NC_4_0", "key-b", "Cus dus"),
        ("CC_BY_4_0", "key-c", "X"),
    }


def test_other_licences_are_rejected_before_any_request(tmp_path: Path) -> None:
    result = _archive(tmp_path, licenses=["cc-by-nc", "CC0"])
    assert [row["source_id"] for row in result.rows()] == ["2"]
    assert result.summary.rejected_by_reason == {"license": 2}


def test_101_licences_of_a_real_list_are_those_of_their_occurrences(tmp_path: Path) -> None:
    result = partitioned(real_data("lists/gbif/ticks_dwca"), tmp_path / "out", {**GBIF, "keep": ["scientificName"]})
    rows = result.rows()
    assert sum(row["license_from"] == "occurrence" for row in rows) == 101
    assert all(row["license"] and row["keep.datasetKey"] and row["keep.scientificName"] for row in rows)


def test_any_list_can_keep_its_columns(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text('url,Species,"a ""b"""\nhttp://a.example/1.jpg,erato,7\n')
    (row,) = partitioned(tmp_path / "l.csv", tmp_path / "out", {"keep": ["species", 'a "b"', "url", "species"]}).rows()
    assert (row["keep.species"], row['keep.a "b"'], row["keep.url"]) == ("erato", "7", "http://a.example/1.jpg")


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        (["specie"], "no table has a column 'specie'; there are: url, species"),
        (["image"], "image is a column that the run writes itself"),
    ],
)
def test_a_column_that_cannot_be_kept_is_said(tmp_path: Path, keep: list[str], sentence: str) -> None:
    (tmp_path / "l.csv").write_text("url,species\nhttp://a.example/1.jpg,erato\n")
    with pytest.raises(UserError, match=f"dataset.keep: {sentence}"):
        partitioned(tmp_path / "l.csv", tmp_path / "out", {"keep": keep})


def test_columns_that_rows_have_anyway_are_not_there_twice(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("url,title\nhttp://a.example/1.jpg,T\n")
    (row,) = partitioned(tmp_path / "l.csv", tmp_path / "out", {"keep": ["title"]}).rows()
    assert row["title"] == "T"
    assert "keep.title" not in row


@pytest.mark.parametrize(
    ("role", "listed", "checksum"),
    [
        ("md5", "D41D8CD98F00B204E9800998ECF8427E", "md5:d41d8cd98f00b204e9800998ecf8427e"),
        ("md5", "md5:d41d8cd98f00b204e9800998ecf8427e", "md5:d41d8cd98f00b204e9800998ecf8427e"),
        ("md5", "1B2M2Y8AsgTpgAmY7PhCfg==", "md5:d41d8cd98f00b204e9800998ecf8427e"),
        ("md5", "NA", None),
        ("md5", "", None),
        ("md5", "abc==", "md5:abc=="),
        ("sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("sha256", "SHA-256=" + "E3" * 32, "sha256:" + "e3" * 32),
        ("sha256", "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
         "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ],
)  # fmt: skip
def test_listed_checksums_are_read_in_every_notation(
    tmp_path: Path, role: str, listed: str, checksum: str | None
) -> None:
    (tmp_path / "l.csv").write_text(f'url,sum\nhttp://a.example/1.jpg,"{listed}"\n')
    (row,) = partitioned(tmp_path / "l.csv", tmp_path / "out", {"columns": {role: "sum"}}).rows()
    assert row["checksum"] == checksum


def test_the_longest_checksum_counts_and_sizes_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"url,m,s,n\nhttp://a.example/1.jpg,{'a' * 32},{'b' * 64},1000.0\n")
    columns = {"md5": "m", "sha256": "s", "bytes": "n"}
    (row,) = partitioned(tmp_path / "l.csv", tmp_path / "out", {"columns": columns}).rows()
    assert (row["checksum"], row["size_bytes"]) == (f"sha256:{'b' * 64}", 1000)


def test_a_checksum_column_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("url,m\nhttp://a.example/1.jpg,a\n")
    with pytest.raises(UserError, match="no column 'md5sum'"):
        partitioned(tmp_path / "l.csv", tmp_path / "out", {"columns": {"md5": "md5sum"}})


def test_columns_that_every_row_has_may_be_missing_in_the_list() -> None:
    table = Table(Path("l.csv"), "l.csv", ("url", "species"), None)
    assert columns_to_keep((), ("title", "species"), [table]) == ("species",)
    assert columns_to_keep(("datasetKey",), (), [table]) == ("datasetKey",), "a dataset's own need not be there"
