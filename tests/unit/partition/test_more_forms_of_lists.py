"""Lists as exports, spreadsheets and other people's scripts write them: nothing lost, and the guess is said."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.lists import Partitioned, partitioned
from tests.support.thorough import thorough

pytestmark = pytest.mark.stage

ROWS = [(f"0{n}", f"http://img.example.org/{n}.jpg", f"title {n}") for n in range(1, 8)]


def _text(delimiter: str, header: str = "id,url,title") -> str:
    return "\n".join([header.replace(",", delimiter), *(delimiter.join(row) for row in ROWS)]) + "\n"


def _read(tmp_path: Path, name: str, content: bytes | str, dataset: dict[str, object] | None = None) -> Partitioned:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return partitioned(path, tmp_path / "out", dataset)


def _found(result: Partitioned) -> list[tuple[str, str, str]]:
    assert result.rejected() == []
    return sorted((row["source_id"], row["identifier"], row["title"]) for row in result.rows())


@pytest.mark.parametrize(
    "delimiter", ["~", "^", "!", "\x1f", "\x01", "::", "|~|"], ids=lambda mark: mark.encode().hex()
)
@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_rare_delimiters_are_recognized_below_a_header(tmp_path: Path, delimiter: str, ending: str) -> None:
    assert _found(_read(tmp_path, f"list.{ending}", _text(delimiter))) == ROWS


def test_a_rare_delimiter_does_not_split_urls(tmp_path: Path) -> None:
    urls = [f"http://img.example.org/~user/photo{n}" for n in range(5)]
    assert _read(tmp_path, "list.csv", "\n".join(urls)).identifiers() == urls
    assert _read(tmp_path, "list.csv", "url\n" + "\n".join(urls)).identifiers() == urls


def test_a_delimiter_of_several_characters_may_be_stated(tmp_path: Path) -> None:
    dataset = {"text": {"delimiter": "-=-"}, "columns": {"title": "column3"}}
    text = "".join("-=-".join(row) + "\n" for row in ROWS)
    assert _found(_read(tmp_path, "list.txt", text, dataset)) == ROWS


@pytest.mark.parametrize(
    "delimiter", [",", thorough(";"), "\t", thorough("|")], ids=["comma", "semicolon", "tab", "bar"]
)
@pytest.mark.parametrize(
    ("above", "lines"),
    [
        ("Export of the museum\n", "1 line"),
        ("Export from http://www.example.org/\nDate: 2024-01-01\n\n", "3 lines"),
        ("Export of the museum,,\n,,\n", "2 lines"),
        ("# made by x\n# columns,id,url\n", "2 lines"),
        ("// made by x\n", "1 line"),
        ("-- made by x, y, z\n", "1 line"),
    ],
    ids=["title", "titles", "padded", "comments", "slashes", "dashes"],
)
def test_lines_above_the_header_are_skipped_and_said(tmp_path: Path, delimiter: str, above: str, lines: str) -> None:
    text = above.replace(",", delimiter) + _text(delimiter) + f"x{delimiter}ftp://a{delimiter}y\n"
    result = _read(tmp_path, "list.csv", text)
    assert f"{lines} above the header skipped" in result.summary.read_as[0]
    assert [(row["reason"], row["line"]) for row in result.rejected()] == [("bad_url", text.count("\n"))]
    assert sorted((row["source_id"], row["identifier"], row["title"]) for row in result.rows()) == ROWS


def test_a_row_that_reads_like_a_header_is_a_row(tmp_path: Path) -> None:
    result = _read(tmp_path, "list.csv", "nr,label,photo\n1,species,title\n" + "2,x,http://img.example.org/1.jpg\n" * 3)
    assert [(row["reason"], row["line"]) for row in result.rejected()] == [("bad_url", 2)]


def test_lines_that_end_in_returns_among_others_are_rows(tmp_path: Path) -> None:
    lines = _text(",").splitlines()
    text = "".join(line + ["\r\n", "\n", "\r"][index % 3] for index, line in enumerate(lines))
    result = _read(tmp_path, "list.csv", text)
    assert _found(result) == ROWS
    assert "some lines end in carriage returns" in result.summary.read_as[0]


def test_a_return_within_a_cell_is_no_end_of_a_row(tmp_path: Path) -> None:
    text = _text(",").replace("title 2", "title\r2")
    assert [row[2] for row in _found(_read(tmp_path, "list.csv", text))][1] == "title 2"


@pytest.mark.parametrize(
    "cell",
    [
        "{http://img.example.org/a.jpg,http://img.example.org/b.jpg}",
        "[http://img.example.org/a.jpg, http://img.example.org/b.jpg]",
        "http://img.example.org/a.jpg<br>http://img.example.org/b.jpg",
        "http://img.example.org/a.jpg<br />http://img.example.org/b.jpg",
        "http://img.example.org/a.jpg / http://img.example.org/b.jpg",
    ],
)
def test_several_urls_of_a_cell(tmp_path: Path, cell: str) -> None:
    result = _read(tmp_path, "list.tsv", f"id\turl\n1\t{cell}\n")
    assert result.identifiers() == ["http://img.example.org/a.jpg", "http://img.example.org/b.jpg"]


def test_typographic_quotes_are_no_part_of_a_url(tmp_path: Path) -> None:
    assert _read(tmp_path, "list.csv", "id,url\n1,“http://a.example/1.jpg”\n").identifiers() == [
        "http://a.example/1.jpg"
    ]


@pytest.mark.parametrize(
    ("name", "layers"), [("list", 1), ("list.csv", 1), ("list.csv.gzip", 1), ("list.csv.gz", 2), ("list.csv.gz", 0)]
)
def test_compression_is_recognized_by_content(tmp_path: Path, name: str, layers: int) -> None:
    content = _text(",").encode()
    for _ in range(layers):
        content = gzip.compress(content, mtime=0)
    assert _found(_read(tmp_path, name, content)) == ROWS


def test_a_zip_with_a_note_and_metadata_is_its_list(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as archive:
        archive.writestr("export/list.csv.gz", gzip.compress(_text(",").encode(), mtime=0))
        archive.writestr("export/README.txt", "These are the pictures.\n")
        archive.writestr("export/metadata.json", "{}")
    assert _found(partitioned(tmp_path / "list.zip", tmp_path / "out")) == ROWS


@pytest.mark.parametrize(
    "wrap",
    [
        lambda row: {"id": row[0], "title": row[2], "meta": {"image": {"url": row[1], "width": 3}}},
        lambda row: {"id": row[0], "title": row[2], "image": {"url": row[1]}},
        lambda row: {"id": row[0], "title": row[2], "image.url": row[1]},
    ],
    ids=["deep", "nested", "dotted"],
)
def test_urls_in_nested_objects(tmp_path: Path, wrap: object) -> None:
    assert callable(wrap)
    objects = [wrap(row) for row in ROWS]
    assert _found(_read(tmp_path, "list.jsonl", "\n".join(map(json.dumps, objects)))) == ROWS
    assert _found(_read(tmp_path, "list.json", json.dumps({"data": {"items": objects}, "count": 7}))) == ROWS


def test_a_column_of_a_nested_object_can_be_named(tmp_path: Path) -> None:
    line = json.dumps(
        {"page": {"url": "http://a.example/p"}, "photo": {"big": "http://a.example/1.jpg", "s": "http://x/"}}
    )
    result = _read(tmp_path, "list.jsonl", line, {"columns": {"identifier": "photo.big"}})
    assert result.identifiers() == ["http://a.example/1.jpg"]


def test_auto_judges_each_of_several_lists(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.csv").write_text("url\nhttp://img.example.org/1.jpg\n")
    (tmp_path / "lists" / "b.csv").write_text(
        "ImageID,OriginalURL,OriginalLandingURL,License,Author,Title\nx,http://img.example.org/2.jpg,http://p/,cc,me,t\n"
    )
    (tmp_path / "lists" / "c.csv").write_text("photo_id,observation_uuid,extension\n7,u,jpg\n")
    result = partitioned(tmp_path / "lists", tmp_path / "out", {"name": "auto"})
    assert result.summary.dataset == "generic, openimages, inaturalist"
    assert sorted((row["source_id"] or "", row["creator"] or "") for row in result.rows()) == [
        ("", ""), ("7", ""), ("x", "me"),
    ]  # fmt: skip


def test_a_column_with_a_better_name_and_no_url_gives_way_to_the_next_name(tmp_path: Path) -> None:
    text = "id,url,image_url,page\n" + "".join(f"{n},,{url},http://a.example/page/{n}\n" for n, url, _ in ROWS)
    assert _read(tmp_path, "list.csv", text).identifiers() == [url for _, url, _ in ROWS]


def test_each_file_says_by_itself_which_of_its_columns_has_the_urls(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, url, image_url in (("a", None, "http://a.example/1.jpg"), ("b", "http://a.example/2.jpg", None)):
        columns = {"id": [name], "url": pa.array([url], pa.string()), "image_url": pa.array([image_url], pa.string())}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    result = partitioned(folder, tmp_path / "out")
    assert result.identifiers() == ["http://a.example/1.jpg", "http://a.example/2.jpg"]
    assert result.rejected() == []


@pytest.mark.parametrize(
    "first",
    ["mailto:jane@example.org", "[a](http://a.example/a.jpg)", "blob:http://a.example/1", "see http://a.example/x",
     "view-source:http://a.example", "jane@example.org", "hdl:10.1/2", "ark:/12148/bpt6"],
)  # fmt: skip
def test_no_address_of_any_kind_is_taken_for_a_header(tmp_path: Path, first: str) -> None:
    result = _read(tmp_path, "list.txt", "\n".join([first, *(url for _, url, _ in ROWS)]) + "\n")
    assert (len(result.rows()), [row["line"] for row in result.rejected()]) == (len(ROWS), [1])


@pytest.mark.parametrize("first", ["ac:accessURI", "dcterms:identifier", "Image URL (http)", "Contact: e-mail"])
def test_names_with_colons_and_blanks_are_headers(tmp_path: Path, first: str) -> None:
    result = _read(tmp_path, "list.txt", "\n".join([first, *(url for _, url, _ in ROWS)]) + "\n")
    assert (len(result.rows()), result.rejected()) == (len(ROWS), [])


def test_how_a_list_was_read_is_one_line_whatever_its_names(tmp_path: Path) -> None:
    text = '"id","image\nurl"\n' + "".join(f'"{n}","{url}"\n' for n, url, _ in ROWS)
    (said,) = _read(tmp_path, "list.csv", text).summary.read_as
    assert said.endswith("URL in column image url, id in column id")


@pytest.mark.parametrize("name", ["license", "licence", "Licence URL", "rights", "dcterms:license"])
def test_a_column_of_licences_is_known_by_its_usual_names(tmp_path: Path, name: str) -> None:
    text = f"id,url,{name}\n" + "".join(f"{n},{url},CC0\n" for n, url, _ in ROWS)
    result = _read(tmp_path, "list.csv", text, {"licenses": ["cc0"]})
    assert {row["license"] for row in result.rows()} == {"CC0"}


def test_whole_doubles_of_any_size_are_ids_without_an_exponent(tmp_path: Path) -> None:
    ids = [1.0, 2.5, 1e20, 9007199254740992.0, -0.0]
    table = pa.table({"id": pa.array(ids, pa.float64()), "url": [f"http://a.example/{n}.jpg" for n in range(5)]})
    pq.write_table(table, tmp_path / "list.parquet")
    rows = partitioned(tmp_path / "list.parquet", tmp_path / "out").rows()
    assert {row["source_id"] for row in rows} == {"1", "2.5", "100000000000000000000", "9007199254740992", "0"}
