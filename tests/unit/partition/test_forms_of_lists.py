"""Lists as people have them: encodings, comments, spreadsheets' habits, JSON, containers, types of tables."""

from __future__ import annotations

import bz2
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.partition import partition
from ray_downloader.run_folder.layout import RunLayout
from tests.support.lists import Partitioned, partitioned

pytestmark = pytest.mark.stage

U, V, W = "http://a.example/1.jpg", "http://a.example/2.jpg", "http://b.example/3.jpg"


def _read(tmp_path: Path, name: str, content: bytes | str, dataset: dict[str, object] | None = None) -> Partitioned:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return partitioned(path, tmp_path / "out", dataset)


def _lines(result: Partitioned) -> list[tuple[str, int]]:
    return sorted((row["reason"], row["line"]) for row in result.rejected())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "latin-1"])
def test_titles_keep_their_text_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    text = f"id,url,title\n1,{U},Größe – é\n".replace("–" if encoding == "latin-1" else "\0", "-")
    rows = _read(tmp_path, "l.csv", text.encode(encoding)).rows()
    assert rows[0]["title"] == text.rpartition(",")[2].strip()


def test_the_encoding_is_what_most_of_the_file_is_in(tmp_path: Path) -> None:
    latin = "".join(f"{n},http://a.example/{n}.jpg,Müller\n" for n in range(30)).encode("latin-1")
    rows = _read(tmp_path, "l.csv", b"id,url,creator\n" + latin + f"31,{U},Ü\n".encode()).rows()
    assert sum(row["creator"] == "Müller" for row in rows) == 30
    utf8 = "".join(f"{n},http://a.example/{n}.jpg,Müller\n" for n in range(30)).encode()
    result = _read(tmp_path, "l.csv", b"id,url,creator\n" + utf8 + b"31," + U.encode() + b",\xdc\n")
    assert {row["creator"] for row in result.rows()} == {"Müller"}
    assert _lines(result) == [("unparsable_line", 32)]


def test_a_stated_form_is_taken(tmp_path: Path) -> None:
    text = {"encoding": "koi8-r", "delimiter": ";", "quote": "none", "header": False}
    dataset = {"text": text, "columns": {"title": "column1"}}
    rows = _read(tmp_path, "l.csv", f'"Кот;{U}\n'.encode("koi8-r"), dataset).rows()
    assert (rows[0]["identifier"], rows[0]["title"]) == (U, '"Кот')
    with pytest.raises(UserError, match="'klingon', which is unknown"):
        _read(tmp_path, "l.csv", U, {"text": {"encoding": "klingon"}})
    with pytest.raises(UserError, match="write one character"):
        _read(tmp_path, "l.csv", U, {"text": {"delimiter": "ab"}})


@pytest.mark.parametrize(
    ("name", "content", "urls", "lines"),
    [
        ("comments", f"# mine, 2024\n\n{U}\n# more: http://a.example/no.jpg\n{V}\nbad\n", [U, V], [("bad_url", 6)]),
        ("header behind a mark", f"#id\turl\n1\t{U}\n# x\n2\t{V}\n", [U, V], []),
        ("excel", f'"sep=;"\r\nid;url\r\n1;{U}\r\n2;x\r\n', [U], [("bad_url", 4)]),
        ("control z", f"url\r\n{U}\r\n\x1a", [U], []),
        ("line separators in titles", f"url,title\n{U},a\u2028b\n{V},c\x85d\nx,y\n", [U, V], [("bad_url", 4)]),
        ("header of two lines", f'"the\nurl",title\n{U},x\nbad,y\n', [U], [("bad_url", 4)]),
        ("cells of several lines", f'url,title\n{U},"a\n\nb"\nbad,c\n{V},d,e\n', [U],
         [("bad_url", 5), ("unparsable_line", 6)]),
        ("blank lines", f"\n\nurl,title\n\n{U},x\n   \nbad,y\n\n", [U], [("bad_url", 7)]),
        ("one column", f"\n{U}\n\n \nbad\n{V}", [U, V], [("bad_url", 5)]),
        ("crlf", f"url,title\r\n{U},x\r\n\r\nbad,y\r\n{V}\r\n", [U], [("bad_url", 4), ("unparsable_line", 5)]),
        ("mixed line ends", f"url,title\r\n{U},x\nbad,y\r\n", [U], [("bad_url", 3)]),
        ("old mac", f"url,title\r{U},x\rbad,y\r", [U], [("bad_url", 3)]),
        ("nul", f"url,title\n{U},a\x00b\nbad\x00,y\n", [U], [("bad_url", 3)]),
        ("blanks around", f"  {U}\n\t{V}\n", [U, V], []),
        ("blanks between", f"n1   {U}\nn2 \t{V}\n", [U, V], []),
        ("label behind", f"{U} a cat\n{V} a dog\n", [U, V], []),
        ("names of rows", f'"url","title"\n"1","{U}","x"\n"2","{V}","y"\n', [U, V], []),
        ("unnamed first", f",url\n0,{U}\n1,{V}\n", [U, V], []),
        ("unquoted iiif", f"id,url\n1,https://i.example/iiif/x/0,0,9,9/!30,40/0/default.jpg\n2,{U}\n",
         [U, "https://i.example/iiif/x/0,0,9,9/!30,40/0/default.jpg"], []),
    ],
)  # fmt: skip
def test_texts(tmp_path: Path, name: str, content: str, urls: list[str], lines: list[tuple[str, int]]) -> None:
    result = _read(tmp_path, "l.csv", content)
    assert (result.identifiers(), _lines(result)) == (urls, lines), name


def test_rejected_rows_have_their_line_in_each_of_several_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        rows = f"http://a.example/{number}.jpg,x\n" * number
        (tmp_path / "in" / f"{number}.csv").write_text(f"url,title\n{rows}bad{number},y\nsurplus,a,b\n{U},z\n")
    result = partitioned(tmp_path / "in", tmp_path / "out")
    assert {(Path(row["file"]).name, row["reason"], row["line"]) for row in result.rejected()} == {
        (f"{number}.csv", reason, line + number)
        for number in range(3)
        for reason, line in (("bad_url", 2), ("unparsable_line", 3))
    }


def test_cells(tmp_path: Path) -> None:
    cells = {
        f" {U} | {V}": [U, V],
        f"{U};{V} ; {W}": [U, V, W],
        f"{U}, {V}": [U, V],
        f"{U},{V}": [U, V],
        f"['{U}', '{V}']": [U, V],
        f"{U}?a=1&amp;b=2": [f"{U}?a=1&b=2"],
        f"{U}?a=1&amp;b=&quot;": [f'{U}?a=1&b="'],
        f"{U}?a|b": [f"{U}?a|b"],
        "//a.example/x.jpg": ["https://a.example/x.jpg"],
        "a.example:81/x.jpg": ["https://a.example:81/x.jpg"],
        f"<{U}>": [U],
        f"{U}\n{V}": [U, V],
        f"http://web.archive.org/web/2020/{U}": [f"http://web.archive.org/web/2020/{U}"],
    }
    rows = _read(tmp_path, "l.json", json.dumps([{"id": cell, "url": cell} for cell in cells])).rows()
    found = {cell: sorted(row["identifier"] for row in rows if row["source_id"] == cell.strip()) for cell in cells}
    assert found == cells
    assert len({row["uuid"] for row in rows}) == sum(map(len, cells.values()))


def test_parts_of_a_row_with_a_uuid_have_uuids_of_their_own(tmp_path: Path) -> None:
    rows = _read(tmp_path, "l.csv", f"uuid,url\nmine,{U}|{V}\nother,{W}\n").rows()
    assert len({row["uuid"] for row in rows}) == 3
    assert "other" in {row["uuid"] for row in rows}


def test_a_part_that_is_no_url_is_rejected_with_the_rows_line(tmp_path: Path) -> None:
    result = _read(tmp_path, "l.csv", f"id,url\n1,{U}\n2,{V}|http://650000.jpg\n")
    assert (result.identifiers(), _lines(result)) == ([U, V], [("bad_url", 3)])


@pytest.mark.parametrize(
    "document",
    [
        [U, V],
        [{"url": U}, {"url": V}],
        {"images": [{"id": 1, "coco_url": U}, {"id": 2, "coco_url": V}]},
        {"count": 2, "results": [{"image_url": U}, {"image_url": V}]},
        {"url": {"0": U, "1": V}, "id": {"0": 1, "1": 2}},
        {"url": [U, V], "id": [1, 2]},
        {"a": {"url": U}, "b": {"url": V}},
        {"a": U, "b": V},
        [{"image": {"bytes": None, "path": U}}, {"image": {"bytes": None, "path": V}}],
        [{"images": [U, V]}],
        {"images": [U, V]},
        {"id": 1, "url": [U, V], "title": "x"},
    ],
)
def test_json_documents(tmp_path: Path, document: Any) -> None:
    assert _read(tmp_path, "l.json", json.dumps(document)).identifiers() == [U, V]
    assert _read(tmp_path, "m.json", json.dumps(document, indent=1)).identifiers() == [U, V]


@pytest.mark.parametrize("name", ["l.jsonl", "l.ndjson", "l.json", "l.jsonl.bz2"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    lines = [
        json.dumps({"id": 12345678901234567890, "url": U, "title": "é"}),
        "",
        '{"id": 1, "url": ',
        json.dumps({"url": V, "id": "b", "nested": {"a": [1]}}),
        json.dumps({"id": 3}),
        json.dumps({"id": 4, "url": ["bad"]}),
    ]
    content = "\n".join(lines).encode()
    if name == "l.json":
        lines[1:3] = []
        content = "\n".join(lines).encode()
    result = _read(tmp_path, name, bz2.compress(content) if name.endswith("bz2") else content)
    assert {(row["source_id"], row["identifier"]) for row in result.rows()} == {("12345678901234567890", U), ("b", V)}
    assert {row["title"] for row in result.rows()} == {"é", None}
    broken = [] if name == "l.json" else [("unparsable_line", 3)]
    shift = 2 if name == "l.json" else 0
    assert _lines(result) == [("bad_url", 6 - shift), ("no_identifier", 5 - shift), *broken]


def test_containers(tmp_path: Path) -> None:
    text = f"id,url\n1,{U}\n".encode()
    for name, content in {
        "l.csv.bz2": bz2.compress(text),
        "l.csv.xz": lzma.compress(text),
        "l.csv.zst": pa.compress(text, "zstd", asbytes=True),
        "list.bz2": bz2.compress(text),
    }.items():
        assert _read(tmp_path, name, content).identifiers() == [U], name
    with pytest.raises(UserError, match="not a sound zstd file"):
        _read(tmp_path, "cut.csv.zst", pa.compress(text * 99, "zstd", asbytes=True)[:-9])


def test_zips_of_lists(tmp_path: Path) -> None:
    def zipped(members: dict[str, str]) -> Partitioned:
        with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return partitioned(tmp_path / "l.zip", tmp_path / "out")

    assert zipped({"x/l.csv": f"url\n{U}\n", "__MACOSX/._l.csv": "x", "README.md": "x"}).identifiers() == [U]
    two = zipped({"a.csv": f"url\n{U}\n", "b.csv": f"url\n{V}\nbad\n"})
    assert two.identifiers() == [U, V]
    assert two.rejected()[0]["file"] == f"{tmp_path / 'l.zip'}/b.csv"
    with pytest.raises(UserError, match=r"lists of several kinds \(json, text\)"):
        zipped({"a.csv": U, "b.json": f'["{U}"]'})
    for name, kind in {"xl/workbook.xml": "an Excel workbook", "content.xml": "an OpenDocument spreadsheet"}.items():
        with pytest.raises(UserError, match=f"is {kind}; save the sheet with the list as CSV"):
            zipped({name: "x", "mimetype": "y"})


def test_arrow_and_feather(tmp_path: Path) -> None:
    table = pa.table({"url": [U, V], "id": [1, 2]})
    feather.write_feather(table, tmp_path / "l.feather")
    with pa.OSFile(str(tmp_path / "l.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    for name in ("l.feather", "l.arrow"):
        assert partitioned(tmp_path / name, tmp_path / "out").identifiers() == [U, V]
    with pytest.raises(UserError, match="not a sound Arrow file"):
        _read(tmp_path, "cut.arrow", (tmp_path / "l.arrow").read_bytes()[:40])


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (pa.array(["00123", "9007199254740993"]), ["00123", "9007199254740993"]),
        (pa.array([123, 9007199254740993]), ["123", "9007199254740993"]),
        (pa.array([2**64 - 1, 1], pa.uint64()), ["18446744073709551615", "1"]),
        (pa.array([4018237123.0, None]), ["4018237123", None]),
        (pa.array([1.5, float("nan")]), ["1.5", None]),
        (pa.nulls(2), [None, None]),
        (pa.array([b"a", b"b"]), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([5, 6], pa.decimal128(20, 2)), ["5", "6"]),
        (pa.array([b"\xff" * 16, b"\x00" * 16], pa.binary(16)), ["ffffffff-ffff-ffff-ffff-ffffffffffff", None]),
    ],
)
def test_ids_of_every_type_are_exact(tmp_path: Path, values: pa.Array, ids: list[str | None]) -> None:
    pq.write_table(pa.table({"url": [U, V], "source_id": values}), tmp_path / "l.parquet")
    found = [row["source_id"] for row in partitioned(tmp_path / "l.parquet", tmp_path / "out").rows()]
    assert found[0] == ids[0]
    assert found[1] == ids[1] or ids[1] is None


def test_binary_uuids_are_uuids(tmp_path: Path) -> None:
    values = pa.array([bytes(range(16)), b"abcdefghijklmnop"], pa.binary(16))
    pq.write_table(pa.table({"url": [U, V], "uuid": values}), tmp_path / "l.parquet")
    assert [row["uuid"] for row in partitioned(tmp_path / "l.parquet", tmp_path / "out").rows()] == [
        "00010203-0405-0607-0809-0a0b0c0d0e0f",
        "61626364-6566-6768-696a-6b6c6d6e6f70",
    ]


def test_files_of_other_types_are_united_by_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tables = [
        {"url": [U], "source_id": [123]},
        {"url": [V], "source_id": ["00123"]},
        {"source_id": [1.0], "URL": [W]},
    ]
    for number, columns in enumerate(tables):
        pq.write_table(pa.table(columns), tmp_path / "in" / f"{number}.parquet")
    rows = partitioned(tmp_path / "in", tmp_path / "out").rows()
    assert {(row["identifier"], row["source_id"]) for row in rows} == {(U, "123"), (V, "00123"), (W, "1")}


def test_of_two_names_the_exact_one_counts(tmp_path: Path) -> None:
    pq.write_table(pa.table({"URL": ["x"], "url": [U], "Url": ["y"]}), tmp_path / "l.parquet")
    assert partitioned(tmp_path / "l.parquet", tmp_path / "out").identifiers() == [U]


@pytest.mark.parametrize(
    "header", ["ac:accessURI", "http://rs.tdwg.org/ac/terms/accessURI", "Image URL", "image-url", "IMAGE_URL", "photos"]
)
def test_names_are_known_in_every_spelling(tmp_path: Path, header: str) -> None:
    text = f"dcterms:identifier,{header},page\nx-1,{U},http://pages.example/1\n"
    assert _read(tmp_path, "l.csv", text).identifiers() == [U]


def test_how_a_list_is_read_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "l.csv").write_bytes(f"7;{U};é\n8;//a.example/x.jpg;y\n9;{U}|{V};z\n".encode("cp1252"))
    settings = Settings.from_config({"path_to_input": str(tmp_path / "l.csv"), "path_to_output": str(tmp_path / "out")})
    summary = partition(settings, RunLayout.of(settings), said.append)
    assert summary.read_as == (
        "l.csv read as: Windows-1252, semicolon, double quotes, no header, URL in column 2, id in column 1",
    )
    assert said == [
        *summary.read_as,
        "URLs without a scheme, completed with https://: 1",
        "rows with several URLs: 1; each URL has a row of its own, 2 in all",
    ]


def test_what_is_kept_of_a_refused_line_is_the_line(tmp_path: Path) -> None:
    result = _read(tmp_path, "l.csv", f'url,title\n{U},x\n{V},"never closed\n{W},a,b\n')
    assert {row["identifier"] for row in result.rejected()} == {f"{V},never closed", f"{W},a,b"}


def test_text_before_a_url_does_not_make_it_a_second_one(tmp_path: Path) -> None:
    rejected = _read(tmp_path, "l.csv", f"id;url\n1;{U}\n2;see also, {V}\n").rejected()
    assert [(row["reason"], row["identifier"]) for row in rejected] == [("bad_url", f"see also, {V}")]
