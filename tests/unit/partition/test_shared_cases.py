"""The collection of small lists in the shapes that people have: what is taken of each, and what is not.

Skipped where the collection is not beside the checkout. In each, no row is lost and none is merged with another.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from tests.support.lists import Partitioned, partitioned, real_data

pytestmark = [pytest.mark.stage, pytest.mark.thorough]

IMG = "http://img.example.org/img/"
A, B = f"{IMG}a.jpg", f"{IMG}b.jpg"


def _case(name: str) -> Path:
    return real_data("../cases") / name


def _read(name: str, out: Path) -> Partitioned:
    path = _case(name)
    if not path.exists():
        pytest.skip(f"the collection has no {name}")
    return partitioned(path, out)


def _images(*names: object) -> list[str]:
    return sorted(f"{IMG}{name}.jpg" for name in names)


@pytest.mark.parametrize(
    ("name", "urls"),
    [
        ("aria2.txt", [A, B]),
        ("associated_media.csv", _images(*"abcdefg")),
        ("backslashq.csv", [f'{IMG}a"b.jpg', f"{IMG}c.jpg"]),
        ("bhl.csv", ["https://pages.example.org/pageimage/1"]),
        ("binary.parquet", _images(0, 1, 2)),
        ("cc12m.tsv", [f"https://img.example.org/{name}.jpg" for name in "abcd"]),
        ("cc3m.tsv", ["http://img.example.org/a.jpg?w=1", *(f"http://img.example.org/{name}.jpg" for name in "bcdef")]),
        ("comment.txt", [A, B]),
        ("cp1252_creator.csv", _images(*range(30))),
        ("cp1252_gbif.txt", _images(*range(30))),
        ("ctrlz.csv", [A]),
        ("dict.parquet", _images(0, 1, 2)),
        ("dupuuid.parquet", _images(0, 1, 2)),
        ("excel_sep.csv", [A, B]),
        ("fall11_urls.txt", ["http://farm4.example.org/1.jpg", "http://farm4.example.org/2.jpg"]),
        ("first_angle.txt", [A, B]),
        ("first_protorel.txt", [B, "https://img.example.org/img/a.jpg"]),
        ("headless.csv", [A, B]),
        ("idig_alone.csv", _images("m1", "m2")),
        (
            "iiif.csv",
            [
                "http://ok.example.org/img/a b(1).jpg?x=1&y=2",
                "http://ok.example.org/img/p%20q.jpg|x",
                "https://images.example.org/iiif/2/images%2Fptifs%2FNH%2Fsp1.att.ptif/full/1000,/0/default.jpg",
            ],
        ),
        ("image_url.csv", [A, B]),
        ("laion.parquet", _images(0, 1, 2)),
        ("latin1.csv", [f"{IMG}Schön.jpg", B]),
        ("list.arrow", _images(0, 1, 2)),
        ("list.json", _images(0, 1, 2, 3)),
        ("list.jsonl", _images(0, 1, 2, 3)),
        ("list.jsonl.gz", _images(0, 1, 2, 3)),
        ("lists.zip", [A]),
        ("one.csv.zip", [A]),
        ("one.tsv", [A]),
        ("openimages.csv", [f"https://farm1.example.org/{number}_o.jpg" for number in range(4)]),
        ("q.csv", _images(*"abc")),
        ("semi.csv", [A]),
        ("semi_in_url.csv", [f"{A}?x=1;y=2", f"{B}?x=1;y=2"]),
        ("space2.txt", [A, B]),
        ("space_sep.txt", ["http://farm4.example.org/1.jpg", "http://farm4.example.org/2.jpg"]),
        ("urls.json", _images(0, 1, 2, 3)),
        ("utf16.csv", [f"{IMG}ä.jpg"]),
        ("wit.tsv", ["http://upload.example.org/a/ab/X.jpg", "http://upload.example.org/a/ab/Y.svg"]),
        (
            "yfcc100m_dataset.txt",
            [f"http://farm4.example.org/3111/1311333{number}_abcdef.jpg" for number in range(1, 5)],
        ),
    ],
)
def test_every_row_is_taken(tmp_path: Path, name: str, urls: list[str]) -> None:
    result = _read(name, tmp_path / "out")
    assert (result.identifiers(), result.rejected()) == (urls, [])


@pytest.mark.parametrize(
    ("name", "urls", "rejected"),
    [
        ("barefile.csv", [A], [("bad_url", 2), ("bad_url", 3)]),
        ("first_s3.txt", _images(*"bc"), [("bad_url", 1)]),
        ("headless_commas.csv", _images(*"ac"), [("unparsable_line", 2)]),
        ("headless_first_empty.csv", _images(*"bc"), [("no_identifier", 1)]),
        ("gbif_sql.parquet", _images(0, 1), [("no_identifier", 2), ("no_identifier", 3)]),
        ("hfimage.parquet", _images(0, 1), [("no_identifier", 3)]),
        ("listurl.parquet", _images(0, 1, 2), [("no_identifier", 3)]),
        ("obelics.parquet", _images(0, 1, 2), [("no_identifier", 3)]),
    ],
)
def test_odd_rows_alone_are_rejected(
    tmp_path: Path, name: str, urls: list[str], rejected: list[tuple[str, int]]
) -> None:
    result = _read(name, tmp_path / "out")
    assert result.identifiers() == urls
    assert sorted((row["reason"], row["line"]) for row in result.rejected()) == rejected


@pytest.mark.parametrize("name", ["odd.txt", "odd_csv.csv", "odd.json"])
def test_odd_cells_are_trimmed_decoded_completed_and_divided(tmp_path: Path, name: str) -> None:
    result = _read(name, tmp_path / "out")
    urls = set(result.identifiers())
    for path in ("quoted", "single", "angle", "trail", "a", "b", "a b", "bad%zzescape", "p%C3%A9%20already"):
        assert f"{IMG}{path}.jpg" in urls
    for url in (
        "img.example.org/img/protorel.jpg",
        "img.example.org/img/schemeless.jpg",
        "www.example.org/img/schemeless2.jpg",
    ):
        assert f"https://{url}" in urls
    assert f"{IMG}amp.jpg?a=1&b=2" in urls
    assert not any("|" in url or ";" in url or "amp;" in url for url in urls)
    assert result.summary.input_rows == 50
    assert set(result.summary.rejected_by_reason) == {"bad_url"}


def test_ids_mirrors_and_titles_come_along(tmp_path: Path) -> None:
    assert [row["source_id"] for row in _read("fall11_urls.txt", tmp_path / "a").rows()] == [
        "n00004475_6590", "n00004475_15899",
    ]  # fmt: skip
    assert [row["mirrors"] for row in _read("aria2.txt", tmp_path / "b").rows()] == [
        None, ["http://mirror.example.org/img/b.jpg"],
    ]  # fmt: skip
    assert {row["creator"] for row in _read("cp1252_creator.csv", tmp_path / "c").rows()} == {
        "Jørgen Müller",
        "Anna Bern",
    }
    assert {row["source_id"] for row in _read("dupuuid.parquet", tmp_path / "d").rows()} == {"1", "2.5", None}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("camera_urls.csv", "several columns of URLs: url1, url2; say which one"),
        ("gbif_simple.csv", "has no column"),
        ("list.xlsx", "Excel workbook; save the sheet"),
        ("cut.zip", "is not a zip archive"),
    ],
)
def test_what_cannot_be_read_gets_one_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        _read(name, tmp_path / "out")
    assert "\n" not in str(caught.value)
