"""The partition stage on lists of every kind: rows in are rows accepted and rejected, and the files are as promised."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.partition import load_partition_summary, partition, run
from ray_downloader.partition.batches import load_batches, read_batch
from ray_downloader.partition.row_uuid import row_uuid
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import POOLED, REJECTED_SCHEMA
from tests.support.lists import GBIF, partitioned, real_data

pytestmark = pytest.mark.stage

U = "http://a.example/1.jpg"
V = "http://a.example/2.jpg"


def test_rows_are_sorted_by_server_and_identifier_in_every_batch(tmp_path: Path) -> None:
    urls = [f"https://s{n % 7}.example/{n * 7919 % 1000}.jpg" for n in range(500)] + [
        f"http://tiny{n}.example/x" for n in range(30)
    ]
    random.Random(1).shuffle(urls)
    (tmp_path / "urls.txt").write_text("\n".join(urls))
    result = partitioned(tmp_path / "urls.txt", tmp_path / "out", batch_size=40)
    assert result.identifiers() == sorted(urls)
    for batch in load_batches(result.layout):
        rows = read_batch(result.layout, batch)
        keys = list(zip(rows["server_name"].to_pylist(), rows["identifier"].to_pylist(), strict=True))
        assert keys == sorted(keys)
        assert len(keys) == batch.rows <= 40
        assert len({server for server, _ in keys}) == batch.servers
        assert batch.server_name == (keys[0][0] if batch.servers == 1 and keys[0][0][0] == "s" else POOLED)


def test_servers_are_listed_with_their_rows_and_batches(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("".join(f"http://A.example:80/{n}\n" for n in range(25)) + "http://b.example/\n")
    result = partitioned(tmp_path / "urls.txt", tmp_path / "out", batch_size=10)
    assert pq.read_table(result.layout.servers_table).to_pylist() == [
        {"server_name": "a.example", "rows": 25, "batches": 3},
        {"server_name": "b.example", "rows": 1, "batches": 1},
    ]
    assert load_partition_summary(result.layout) == result.summary
    assert (result.summary.servers, result.summary.batches) == (2, 4)


def test_nothing_but_the_promised_files_is_left(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text(U)
    partitioned(tmp_path / "urls.txt", tmp_path / "out")
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")) == [
        "urls",
        "urls/batches.parquet",
        "urls/partition.json",
        "urls/rejected.parquet",
        "urls/rows-00000.parquet",
        "urls/servers.parquet",
    ]


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    rows = "".join(f"http://a.example/{n % 50},{n}\n" for n in range(500))
    (tmp_path / "urls.csv").write_text(f"url,source_id\n{rows}")
    first = partitioned(tmp_path / "urls.csv", tmp_path / "one").layout.urls / "rows-00000.parquet"
    second = partitioned(tmp_path / "urls.csv", tmp_path / "two").layout.urls / "rows-00000.parquet"
    assert first.read_bytes() == second.read_bytes()


def test_a_repeated_run_replaces_what_an_earlier_one_left(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text(U)
    partitioned(tmp_path / "urls.txt", tmp_path / "out")
    (tmp_path / "out" / "urls" / "rows-00007.parquet").write_bytes(b"stale")
    (tmp_path / "urls.txt").write_text(V)
    assert partitioned(tmp_path / "urls.txt", tmp_path / "out").identifiers() == [V]
    assert not (tmp_path / "out" / "urls" / "rows-00007.parquet").exists()


def test_metadata_is_carried_and_a_full_licence_has_three_parts(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f'identifier,License,source,title,source_id\n{U}, CC0 ,"M, N",T, 7\n{V},CC0,,T,8\n')
    full, part = partitioned(tmp_path / "l.csv", tmp_path / "out").rows()
    assert full == {
        "uuid": row_uuid("7", U),
        "source_id": "7",
        "identifier": U,
        "server_name": "a.example",
        "is_license_full": True,
        "license": "CC0",
        "source": "M, N",
        "title": "T",
        "creator": None,
        "mirrors": None,
        "license_from": "media",
        "checksum": None,
        "size_bytes": None,
    }
    assert (part["is_license_full"], part["source"]) == (False, None)


def test_a_list_keeps_its_own_uuids_and_the_others_are_made(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"uuid,url\nmine,{U}\n,{V}\n")
    rows = partitioned(tmp_path / "l.csv", tmp_path / "out").rows()
    assert [row["uuid"] for row in rows] == ["mine", row_uuid(None, V)]


def test_identical_rows_both_stay(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(f"{U}\n{U}\n")
    first, second = partitioned(tmp_path / "l.txt", tmp_path / "out").rows()
    assert first == second


def test_rejected_rows_keep_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text(f"source_id,url\n1,{U}\n2,\n3,not a url\n4,{V},surplus\n5\n")
    result = partitioned(path, tmp_path / "out")
    assert pq.read_schema(result.layout.rejected_table) == REJECTED_SCHEMA
    found = {(row["reason"], row["source_id"], row["identifier"], row["line"]) for row in result.rejected()}
    assert found == {
        ("no_identifier", "2", None, 3),
        ("bad_url", "3", "not a url", 4),
        ("unparsable_line", None, f"4,{V},surplus", 5),
        ("unparsable_line", None, "5", 6),
    }
    assert {row["file"] for row in result.rejected()} == {str(path)}


@pytest.mark.parametrize(
    ("name", "content", "accepted", "rejected"),
    [
        ("plain list", f"{U}\n{V}\n", 2, {}),
        ("no final newline", f"{U}\n{V}", 2, {}),
        ("blank lines", f"\n\n{U}\n\n  \n{V}\n\n\n", 2, {}),
        ("crlf", f"{U}\r\n{V}\r\n\r\n", 2, {}),
        ("old mac", f"{U}\r{V}\r", 2, {}),
        ("mixed line ends", f"{U}\r\n{V}\n{U}?3\r\n", 3, {}),
        ("byte order mark", f"\ufeff{U}\n{V}\n", 2, {}),
        ("header", f"\ufeffurl\n{U}\n", 1, {}),
        ("unknown header of one column", f"image link\n{U}\n", 1, {}),
        ("odd characters", f'{U}?a,b;c|"d\n{V} e\n', 2, {}),
        ("quoted", f'"{U}"\n"{V}"\n', 2, {}),
        ("odd first line", f'{U}?a,b;c|"d\n{V}\n', 2, {}),
        ("tab", f"{U}\n{V}\tx\n", 1, {"unparsable_line": 1}),
        ("latin-1", f"{U}\n".encode() + b"http://a.example/caf\xe9.jpg\n", 2, {}),
        ("nul", f"{U}\n".encode() + b"http://a.\x00example/\n\x00\n", 1, {"bad_url": 2}),
        ("utf-16", f"{U}\n{V}?ü\n".encode("utf-16"), 2, {}),
        ("utf-16 without mark", f"{U}\n{V}\n".encode("utf-16-be"), 2, {}),
        ("long url", f"{U}\n{V}?{'x' * 100_000}\n", 2, {}),
        ("endless line", f"{U}\nhttp://a.example/{'x' * 5_000_000}\n{V}\n", 2, {"unparsable_line": 1}),
        ("not urls", f"{U}\nUNLIKELY\nftp://a.example/x\n", 1, {"bad_url": 2}),
    ],
)
def test_text_lists(tmp_path: Path, name: str, content: str | bytes, accepted: int, rejected: dict[str, int]) -> None:
    path = tmp_path / "list.TXT"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    summary = partitioned(path, tmp_path / "out").summary
    assert (summary.accepted_rows, summary.rejected_by_reason) == (accepted, rejected), name


@pytest.mark.parametrize(
    ("name", "content", "accepted", "rejected"),
    [
        ("quoted", f'"url","title"\n"{U}","a ""b"", c"\n', [U], {}),
        ("no header", f"1,{U}\n2,{V}\n", [U, V], {}),
        ("one column without header", f"{U}?a,b\n{V}\n", [U + "?a,b", V], {}),
        ("one quoted column", f'"url"\n"{U}?a,b"\n{V}?c,d\n', [U + "?a,b", V + "?c,d"], {}),
        ("semicolons", f'url;title\n"{U}";"x;y"\n', [U], {}),
        ("tabs", f"url\ttitle\n{U}\tx\n", [U], {}),
        ("several lines in a cell", f'url,title\n{U},"x\ny"\n{V},z\n', [U, V], {}),
        ("duplicate names", f"url,url,title\n{U},x,y\n", [U], {}),
        ("padded names", f" title , URL \nx,{U}\n", [U], {}),
        ("space before quote", f'url,title\n{U}, "x,y"\n', [U], {}),
        ("quote within a cell", f'url,title\n{U},5" wide\n{V},z\n', [U, V], {}),
        ("quote that never closes", f'url,title\n{U},"x\n{V},y\n', [V], {"unparsable_line": 1}),
        ("quote that closes early", f'url,title\n{U},"x"y\n{V},z\n', [V], {"unparsable_line": 1}),
        ("latin-1 elsewhere", f"url,other\n{U},caf".encode() + b"\xe9\n", [U], {}),
        ("empty columns", f"url,title,\n{U},x,\n", [U], {}),
    ],
)
def test_csv_lists(
    tmp_path: Path, name: str, content: str | bytes, accepted: list[str], rejected: dict[str, int]
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    result = partitioned(path, tmp_path / "out")
    assert (result.identifiers(), result.summary.rejected_by_reason) == (accepted, rejected), name


def test_a_quote_that_never_closes_loses_one_row_of_thousands(tmp_path: Path) -> None:
    rows = [f'http://a.example/{n},"t {n}"' for n in range(20_000)]
    rows[5] = rows[5].removesuffix('"')
    (tmp_path / "l.csv").write_text("url,title\n" + "\n".join(rows))
    summary = partitioned(tmp_path / "l.csv", tmp_path / "out").summary
    assert (summary.accepted_rows, summary.rejected_by_reason) == (19_999, {"unparsable_line": 1})


def test_the_header_can_be_stated(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(f"{U}\n{V}\n")
    assert partitioned(tmp_path / "l.txt", tmp_path / "out", header=True).identifiers() == [V]
    assert partitioned(tmp_path / "l.txt", tmp_path / "out", header="Accept: image/*").identifiers() == [U, V]
    (tmp_path / "l.csv").write_text(f"x,link\n1,{U}\n")
    columns = {"columns": {"identifier": "column2"}}
    result = partitioned(tmp_path / "l.csv", tmp_path / "out", columns, header=False)
    assert result.summary.rejected_by_reason == {"bad_url": 1}


def test_parquet_folders_may_differ_in_columns_and_types(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "part=1"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"URL": [U.encode(), None], "source_id": [1, 2]}), folder / "a.parquet")
    pq.write_table(pa.table({"title": ["t"], "url": pa.array([V], pa.large_string())}), folder / "b[1].parquet")
    (folder / "_SUCCESS").touch()
    result = partitioned(tmp_path / "in", tmp_path / "in" / "out")
    assert [(row["identifier"], row["source_id"]) for row in result.rows()] == [(U, "1"), (V, None)]
    assert [(row["reason"], row["line"]) for row in result.rejected()] == [("no_identifier", 2)]


def test_where_nothing_can_be_downloaded_the_reasons_are_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("url\nx\ny\n")
    with pytest.raises(UserError, match="no row that can be downloaded; rejected: bad_url 2"):
        partitioned(tmp_path / "l.txt", tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "urls" / "rejected.parquet").num_rows == 2
    assert not (tmp_path / "out" / "urls" / "batches.parquet").exists()
    assert not (tmp_path / "out" / ".partition").exists()


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("where,title\ns3://a/b,x\n")
    with pytest.raises(UserError, match=r"l\.csv has no column .*'url'.*; its columns are: where, title"):
        partitioned(tmp_path / "l.csv", tmp_path / "out")
    (tmp_path / "l.csv").write_text(f"where,title,other\n{U},x,{V}\n")
    with pytest.raises(UserError, match=r"several columns of URLs: where, other; say which one with dataset\.columns="):
        partitioned(tmp_path / "l.csv", tmp_path / "out")
    assert partitioned(tmp_path / "l.csv", tmp_path / "out", {"columns": {"identifier": "where"}}).identifiers() == [U]
    with pytest.raises(UserError, match=r"dataset\.columns\.link is not a column that is read"):
        partitioned(tmp_path / "l.csv", tmp_path / "out", {"columns": {"link": "link"}})


@pytest.mark.parametrize(
    ("name", "dataset", "accepted", "rejected"),
    [
        ("gbif/demo_marine_multimedia.txt", GBIF, 744, {"no_identifier": 11}),
        ("gbif/robitt_multimedia.txt", GBIF, 1107, {"not_an_image": 33}),
        ("gbif/lanternfly_multimedia.txt", GBIF, 4776, {}),
        ("gbif/ticks_dwca", GBIF, 1362, {}),
        ("gbif/ticks_dwca/multimedia.txt", GBIF, 1362, {}),
        ("gbif/finch_dwca.zip", GBIF, 1, {}),
        ("dwca_other/symbiota_multimedia.csv", {}, 35, {}),
        ("dwca_other/audubon_core_multimedia.txt", {}, 1, {}),
        ("dwca_other/nhm_escaped_quotes_multimedia.csv", {}, 4, {}),
        ("dwca_other/header_with_spaces_multimedia.csv", {}, 2, {}),
        ("fathomnet/images_202508121637.csv", {}, 1419, {}),
        ("camtrapdp/example_media.csv", {"columns": {"identifier": "filePath"}}, 413, {"bad_url": 10}),
        ("eol/eol_9842.snappy.parquet", {}, 9842, {}),
        ("img2dataset/test_1000.parquet", {}, 1000, {}),
        ("img2dataset/*.txt", {}, 11_054, {"bad_url": 1}),
        ("csv_small/HCGSD_testNA.csv", {"columns": {"identifier": "file_url"}}, 8, {"no_identifier": 2}),
    ],
)
@pytest.mark.thorough
def test_real_lists(
    tmp_path: Path, name: str, dataset: dict[str, object], accepted: int, rejected: dict[str, int]
) -> None:
    summary = partitioned(real_data("lists") / name, tmp_path / "out", dataset).summary
    assert (summary.accepted_rows, summary.rejected_by_reason) == (accepted, rejected)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lists/gbif/header_only_multimedia.txt", "has no rows"),
        ("lists/gbif/jaguar_occurrence_excerpt.txt", "has no column 'identifier'"),
        ("lists/gbif", "several kinds"),
        ("lists/url_parsing", "has no row that can be downloaded"),
    ],
)
def test_real_files_that_are_no_lists_of_media(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        partitioned(real_data(name), tmp_path / "out", GBIF)


def test_a_run_folder_of_the_legacy_project_is_left_alone(tmp_path: Path) -> None:
    older = tmp_path / "out" / "urls" / "server_name=a.example" / "partition_id=0"
    older.mkdir(parents=True)
    (tmp_path / "l.txt").write_text(f"{U}\n")
    with pytest.raises(UserError, match="run folder of distributed-downloader"):
        partitioned(tmp_path / "l.txt", tmp_path / "out")
    assert older.exists()


@pytest.mark.parametrize(("kinds", "more"), [(10, []), (12, ["2 more kinds of list"])])
def test_ten_kinds_of_list_are_described_and_the_others_counted(tmp_path: Path, kinds: int, more: list[str]) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    for number in range(kinds):
        (folder / f"{number:02}.csv").write_text(f"url,c{number}\nhttp://a.example/{number}.jpg,x\n")
    settings = Settings.from_config({"path_to_input": str(folder), "path_to_output": str(tmp_path / "out")})
    said: list[str] = []
    partition(settings, RunLayout.of(settings), said.append)
    assert sum("read as" in sentence for sentence in said) == 10
    assert [sentence for sentence in said if "more kinds" in sentence] == more


def test_scratch_is_the_users_alone_holds_nothing_old_and_is_removed_whatever_happens(tmp_path: Path) -> None:
    """It holds the whole list, which may have passwords."""
    (tmp_path / "urls.txt").write_text(f"{U}\n{V}\n")
    settings = Settings.from_config({"path_to_input": str(tmp_path / "urls.txt"), "path_to_output": tmp_path / "out"})
    scratch = tmp_path / "out" / ".partition"
    scratch.mkdir(parents=True)
    (scratch / "old").touch()
    seen: list[tuple[int, bool, list[str]]] = []

    def look(first_urls: Callable[[], Iterable[str]]) -> None:
        seen.append((scratch.stat().st_mode & 0o777, (scratch / "old").exists(), list(first_urls())))
        raise UserError("it may not be")

    for _ in range(2):
        with pytest.raises(UserError, match="it may not be"):
            partition(settings, RunLayout.of(settings), check_first=look)
        assert not scratch.exists()
    assert seen == [(0o700, False, [U, V])] * 2


def test_what_is_left_of_an_earlier_partition_is_removed_before_the_list_is_read(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text(f"{U}\n")
    out = tmp_path / "out"
    result = partitioned(tmp_path / "urls.txt", out)
    for name in ("rows-00007.parquet", "old.json", ".old.tmp"):
        (out / "urls" / name).touch()
    (out / "urls" / "mine.txt").touch()

    def look(_first_urls: object) -> None:
        assert [path.name for path in (out / "urls").iterdir()] == ["mine.txt"]

    settings = Settings.from_config({"path_to_input": str(tmp_path / "urls.txt"), "path_to_output": out})
    assert partition(settings, result.layout, check_first=look) == result.summary


def test_a_list_without_rows_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("url\n")
    with pytest.raises(UserError, match=r"urls\.txt has no rows$"):
        partitioned(tmp_path / "urls.txt", tmp_path / "out", {"name": "generic"})


def test_corrections_of_cells_are_reported_if_there_are_any(tmp_path: Path) -> None:
    for content, said in (
        (f"url\n{U}\n", []),
        (f"url\n{U}|{V}\n//b.example/1.jpg\nc.example/1.jpg\n", [
            "URLs without a scheme, completed with https://: 2",
            "rows with several URLs: 1; each URL has a row of its own, 2 in all",
        ]),
    ):  # fmt: skip
        (tmp_path / "urls.csv").write_text(content)
        values = {"path_to_input": str(tmp_path / "urls.csv"), "path_to_output": tmp_path / "out"}
        settings, told = Settings.from_config(values), []
        partition(settings, RunLayout.of(settings), told.append)
        assert told[1:] == said
        assert told[0].startswith("urls.csv read as: ")


def test_how_a_file_is_read_follows_from_the_dataset_where_that_is_said(tmp_path: Path) -> None:
    """A list of no stated kind is read as what it is; that of a stated kind as that kind is written."""
    text = f'URL\tTEXT\tSAMPLE_ID\n{U}\t"a\tb"\t1\n'
    (tmp_path / "list.tsv").write_text(text)
    quoted = partitioned(tmp_path / "list.tsv", tmp_path / "generic", {"columns": {"title": "TEXT"}})
    assert [row["title"] for row in quoted.rows()] == ["a\tb"]
    with zipfile.ZipFile(tmp_path / "list.zip", "w") as archive:
        archive.writestr("list.tsv", text)
    for dataset in ("auto", "laion"):
        zipped = partitioned(tmp_path / "list.zip", tmp_path / dataset, {"name": dataset})
        assert zipped.identifiers() == [U], "a list that was only zipped for its way here"
    with pytest.raises(UserError, match=r"list\.zip"):
        partitioned(tmp_path / "list.zip", tmp_path / "gbif", GBIF)


@pytest.mark.parametrize(("name", "accepted"), [("generic", [U, V]), ("dwca", [U, V])])
def test_occurrences_of_an_archive_list_pictures_themselves(tmp_path: Path, name: str, accepted: list[str]) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("occurrence.txt", f"id\tassociatedMedia\n1\t{U} | {V}\n")
    assert partitioned(tmp_path / "archive.zip", tmp_path / name, {"name": name}).identifiers() == accepted


def test_rows_with_passwords_are_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while they are written, nor for the moment between the making of a folder and its change of mode."""
    (tmp_path / "urls.txt").write_text("http://me:secret@a.example/1.jpg\n")
    urls, modes = tmp_path / "out" / "urls", []
    change, write = Path.chmod, run.write_rows

    def chmod(path: Path, mode: int) -> None:
        if path == urls:
            modes.append(path.stat().st_mode & 0o7777)
        change(path, mode)

    def write_rows(*arguments: Any) -> Any:
        modes.append(urls.stat().st_mode & 0o7777)
        return write(*arguments)

    monkeypatch.setattr(Path, "chmod", chmod)
    monkeypatch.setattr(run, "write_rows", write_rows)
    partitioned(tmp_path / "urls.txt", tmp_path / "out")
    assert modes == [0o700] * 3
