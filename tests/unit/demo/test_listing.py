from collections import Counter
from pathlib import Path

from ray_downloader.demo.listing import MULTIMEDIA_COLUMNS, REJECTED_ODDITIES, Oddity, listed_rows, write_archive
from ray_downloader.demo.scenario import demo_images


def lines_of(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text("utf-8").splitlines()]


def test_every_oddity_occurs() -> None:
    assert {row.oddity for row in listed_rows()} == set(Oddity)


def test_every_image_of_every_server_is_listed_once_apart_from_the_repeated_ones() -> None:
    rows = [row for row in listed_rows() if row.oddity not in {*REJECTED_ODDITIES, Oddity.REPEATED}]
    assert len(rows) == sum(1 for _ in demo_images())


def test_no_row_is_lost_or_doubled_by_the_shuffle() -> None:
    keys = Counter((row.gbif_id, row.identifier, row.line) for row in listed_rows())
    assert set(keys.values()) == {1}
    assert 1_800 <= len(keys) <= 2_200


def test_repeated_urls_belong_to_other_records() -> None:
    rows = listed_rows()
    repeated = [row for row in rows if row.oddity is Oddity.REPEATED]
    others = {row.identifier: row.gbif_id for row in rows if row.oddity is not Oddity.REPEATED}
    assert repeated and all(others[row.identifier] != row.gbif_id for row in repeated)


def test_the_table_has_a_field_for_each_column_but_on_the_broken_lines(tmp_path: Path) -> None:
    header, *rows = lines_of(write_archive(tmp_path) / "multimedia.txt")
    assert header == MULTIMEDIA_COLUMNS
    broken = [row for row in rows if len(row) != len(header)]
    assert len(broken) == sum(row.oddity is Oddity.BROKEN_LINE for row in listed_rows())


def test_fields_hold_quotes_and_letters_beyond_ascii(tmp_path: Path) -> None:
    text = (write_archive(tmp_path) / "multimedia.txt").read_text("utf-8")
    assert 'Joseph "Joe" Banks' in text and "田中 花子" in text


def test_each_record_has_an_occurrence_and_only_citations_are_citations(tmp_path: Path) -> None:
    header, *rows = lines_of(write_archive(tmp_path) / "occurrence.txt")
    basis_of = {row[header.index("gbifID")]: row[header.index("basisOfRecord")] for row in rows}
    for row in listed_rows():
        if row.oddity is Oddity.BROKEN_LINE:
            continue
        basis = basis_of[row.gbif_id.strip()].lower().replace("_", "").replace(" ", "")
        assert (basis == "materialcitation") == (row.oddity is Oddity.CITATION)


def test_the_list_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = (write_archive(tmp_path / name) / "multimedia.txt" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
