"""Finished rows a chunk at a time, whoever wrote them; lists as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.image.stored import StoredImage
from ray_downloader.tools.queries import write_csv
from ray_downloader.tools.rows import can_be_read, chunks_of, gather_parts, read_rows, write_rows


def written(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_chunks_hold_256_rows_and_say_where_they_begin(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", uuid=[str(number) for number in range(600)])
    chunks = list(chunks_of(path))
    assert [(chunk.start, chunk.rows.num_rows) for chunk in chunks] == [(0, 256), (256, 256), (512, 88)]
    assert [uuid for chunk in chunks for uuid in chunk.texts("uuid", "")] == [str(number) for number in range(600)]


def test_a_table_can_be_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    assert not can_be_read(path)
    table = pa.table({"uuid": [f"uuid-{number}" for number in range(600)]})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    assert can_be_read(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"uuid-400", b"uuid-40X", 1))
    assert not can_be_read(path), "only its checksum shows that"
    path.write_bytes(content[:-5])
    assert not can_be_read(path)


def test_only_columns_that_are_asked_for_and_there_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", uuid=["a"], image=[b"x"], title=["t"])
    (chunk,) = chunks_of(path, ["title", "phash", "uuid"])
    assert set(chunk.rows.schema.names) == {"uuid", "title"}
    (chunk,) = chunks_of(path)
    assert set(chunk.rows.schema.names) == {"uuid", "image", "title"}


def test_a_text_that_is_missing_has_the_default(tmp_path: Path) -> None:
    (chunk,) = chunks_of(written(tmp_path / "x.parquet", title=["a", None, ""]))
    assert chunk.texts("title", "none") == ["a", "none", ""]
    assert chunk.texts("phash", "none") == ["none"] * 3


def test_pictures_have_their_bytes_format_and_size(tmp_path: Path) -> None:
    sizes = pa.array([[3, 4], [5, 6]], pa.list_(pa.uint32()))
    path = written(tmp_path / "x.parquet", image=[b"x", None], image_format=["jpeg", None], resized_size=sizes)
    (chunk,) = chunks_of(path)
    assert list(chunk.images()) == [StoredImage(b"x", "jpeg", (3, 4)), StoredImage(b"", "raw", (5, 6))]


def test_pictures_of_the_legacy_project_are_raw(tmp_path: Path) -> None:
    sizes = pa.array([[3, 4]], pa.list_(pa.int64()))
    (chunk,) = chunks_of(written(tmp_path / "x.parquet", image=[b"x"], resized_size=sizes))
    assert list(chunk.images()) == [StoredImage(b"x", "raw", (3, 4))]


def test_a_list_has_its_header_also_without_rows(tmp_path: Path) -> None:
    assert write_rows(tmp_path / "list.csv", ("a", "b"), []) == 0
    assert (tmp_path / "list.csv").read_text("utf-8") == "a,b\n"
    assert list(read_rows(tmp_path / "list.csv")) == []


def test_what_is_written_is_read_as_text(tmp_path: Path) -> None:
    rows = [("ä, b", 1), ('"quoted"\nline', None)]
    assert write_rows(tmp_path / "list.csv", ("name", "count"), rows) == 2
    assert list(read_rows(tmp_path / "list.csv")) == [
        {"name": "ä, b", "count": "1"},
        {"name": '"quoted"\nline', "count": ""},
    ]


def test_parts_are_gathered_in_order_under_one_header(tmp_path: Path) -> None:
    for name, rows in (("one", [(1, 2), (3, 4)]), ("none", []), ("two", [(5, 6)])):
        write_rows(tmp_path / name / "part.csv", ("a", "b"), rows)
    folders = [tmp_path / name for name in ("one", "none", "two")]
    assert gather_parts(folders, tmp_path / "all.csv", ("a", "b")) == 3
    assert (tmp_path / "all.csv").read_text("utf-8").split() == ["a,b", "1,2", "3,4", "5,6"]


def test_a_part_that_is_missing_leaves_no_half_list(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        gather_parts([tmp_path / "none"], tmp_path / "all.csv", ("a",))
    assert list(tmp_path.iterdir()) == []


FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1"]


def test_no_cell_of_a_csv_is_a_formula_and_reading_gives_the_texts_back(tmp_path: Path) -> None:
    texts = [*FORMULAS, "a title", "'quoted'", "'", "", "a=b", "3"]
    path = tmp_path / "rows.csv"
    write_rows(path, ["uuid", "title"], [(text, text) for text in texts])
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [row["title"] for row in read_rows(path)] == texts
    with duckdb.connect() as connection:
        connection.register("given", pa.table({"uuid": texts, "number": list(range(len(texts)))}))
        write_csv(connection, "SELECT * FROM given", path)
    assert [(row["uuid"], row["number"]) for row in read_rows(path)] == [(t, str(n)) for n, t in enumerate(texts)]
    with path.open(encoding="utf-8", newline="") as file:
        assert not [row for row in csv.reader(file) if row[0].startswith(("=", "+", "-", "@", "\t", "\r"))]
