"""What `path_to_input` may name, and what is said of files that are no lists."""

from __future__ import annotations

import errno
import gzip
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.sources import open_table
from ray_downloader.sources.locate import FileFinder
from tests.support.lists import partitioned

U = "http://a.example/1.jpg"
V = "http://a.example/2.jpg"


def _refusal(path: Path | str, tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        partitioned(path, tmp_path / "out")
    assert not (tmp_path / "out" / ".partition").exists()
    return str(caught.value)


def test_gzip_is_unpacked_also_in_several_members(tmp_path: Path) -> None:
    (tmp_path / "L.TXT.GZ").write_bytes(gzip.compress(f"{U}\n".encode()) + gzip.compress(f"{V}\n".encode()))
    result = partitioned(tmp_path / "L.TXT.GZ", tmp_path / "out")
    assert result.identifiers() == [U, V]


def test_rejected_rows_name_the_file_that_the_user_knows(tmp_path: Path) -> None:
    (tmp_path / "l.csv.gz").write_bytes(gzip.compress(f"url,title\n{U},x\nbad,x\n{V}\n".encode()))
    rejected = partitioned(tmp_path / "l.csv.gz", tmp_path / "out").rejected()
    assert {row["file"] for row in rejected} == {str(tmp_path / "l.csv.gz")}
    assert len(rejected) == 2


def test_text_is_read_whatever_its_name_ends_in_if_it_is_named_itself(tmp_path: Path) -> None:
    (tmp_path / "urls.lst").write_text(U)
    assert partitioned(tmp_path / "urls.lst", tmp_path / "out").identifiers() == [U]
    pq.write_table(pa.table({"url": [U]}), tmp_path / "part-0")
    assert partitioned(tmp_path / "part-0", tmp_path / "out").identifiers() == [U]


def test_a_folder_is_all_lists_in_it_but_the_runs_own(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text(U)
    (tmp_path / "sub" / "b.csv").write_text(f"title,url\nx,{V}\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / ".hidden.txt").write_text("http://hidden.example")
    (tmp_path / "README.md").write_text("http://readme.example")
    out = tmp_path / "out"
    assert partitioned(tmp_path, out).identifiers() == [U, V]
    (out / "more.txt").write_text("http://own.example/")
    assert partitioned(tmp_path, out).identifiers() == [U, V]
    assert partitioned(tmp_path / "**" / "*.csv", out).identifiers() == [V]


def test_files_that_are_passed_over_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(U)
    (tmp_path / "README.md").touch()
    told: list[str] = []
    assert FileFinder(tmp_path / "out", told.append).find(str(tmp_path)) == [tmp_path / "a.txt"]
    assert told == [f"{tmp_path / 'README.md'} is not a list and is skipped"]


def test_a_name_with_the_characters_of_a_glob_is_a_name_first(tmp_path: Path) -> None:
    for name in ("a[1].txt", "a*.txt", "a?.txt"):
        (tmp_path / name).write_text(U)
        assert partitioned(tmp_path / name, tmp_path / "out").identifiers() == [U]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.txt", b"", "has no rows"),
        ("blank.txt", b"\n \r\n\n", "has no rows"),
        ("header.csv", b"url,title\n", "has no rows"),
        ("page.csv", b"\n<!DOCTYPE html><html>", "is a web page, not the text that its name promises"),
        ("list.json", b'{"a": [{"b": "http://a.example/"}]}', "is a JSON document; what can be read: .txt"),
        ("doc.csv", b"%PDF-1.7", "is a PDF document"),
        ("list.txt", gzip.compress(b"%PDF-1.7", mtime=0), "is a PDF document"),
        ("table.csv", b"PK\x03\x04....", "is a zip archive or an office document"),
        ("image.txt", b"\xff\xd8\xff\xe0", "is a JPEG image"),
        ("noise.txt", bytes(range(256)) * 20, "is a binary file"),
        ("list.tar.gz", gzip.compress(bytes(257) + b"ustar" + bytes(300), mtime=0), "is a tar archive"),
        ("lists.jsonl", b'[1, "http://a.example/"]\n', "has a JSON list in each line; write an object"),
        ("cut.txt.gz", gzip.compress(b"http://a.example/" * 999, mtime=0)[:-9], "is not a sound gzip file"),
        ("page.txt.gz", gzip.compress(b"<html>", mtime=0), "is a web page"),
        ("odd.txt", b"\xff\xfea\x00\n", "is not the utf-16 text that it begins as"),
        ("text.parquet", b"url\nhttp://a.example/", "is not a parquet file"),
        ("cut.parquet", b"PAR1....", "is a damaged parquet file"),
        ("book.xlsx", b"PK\x03\x04....", "is a zip archive or an office document; what can be read: .txt"),
        ("broken.csv", b'"url,title\nx,y\n', "has no column"),
    ],
)
def test_what_is_no_list_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    message = _refusal(tmp_path / name, tmp_path)
    assert sentence in message
    assert name in message
    assert "\n" not in message


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "l.txt"
    path.write_text(U)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(open_table, "file_kind", refuse)
    assert f"{path} may not be read" in _refusal(path, tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE], ids=["full disk", "open files"])
@pytest.mark.parametrize("name", ["l.csv.gz", "l.arrow", "l.parquet"])
def test_what_the_system_refuses_is_not_said_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(number, "the system refuses it")

    table = pa.table({"url": [U.strip()]})
    if name.endswith("gz"):
        (tmp_path / name).write_bytes(gzip.compress(U.encode()))
        monkeypatch.setattr(shutil, "copyfileobj", refuse)
    elif name.endswith("arrow"):
        feather.write_feather(table, str(tmp_path / name), compression="uncompressed")
        monkeypatch.setattr(pq, "ParquetWriter", refuse)
    else:
        pq.write_table(table, tmp_path / name)
        monkeypatch.setattr(pq, "ParquetFile", refuse)
    with pytest.raises(OSError, match="the system refuses it") as refused:
        _refusal(tmp_path / name, tmp_path)
    assert refused.value.errno == number


def test_a_path_to_nothing_is_named(tmp_path: Path) -> None:
    assert "does not exist" in _refusal(tmp_path / "gone.txt", tmp_path)
    assert "contains no list" in _refusal(tmp_path / "*.csv", tmp_path)
    assert "download the list first" in _refusal("https://a.example/list.csv", tmp_path)


def test_a_folder_of_several_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(U)
    pq.write_table(pa.table({"url": [U]}), tmp_path / "b.parquet")
    assert "several kinds (parquet, text); name those of one kind" in _refusal(tmp_path, tmp_path)


def test_the_run_folder_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("urls.txt").write_text(U)
    assert partitioned("urls.txt", Path("out")).identifiers() == [U]
    assert Settings.from_config({"path_to_input": "urls.txt", "path_to_output": "out"}).path_to_output == Path("out")


def test_of_a_run_of_the_legacy_project_the_completed_batches_are_left_out(tmp_path: Path) -> None:
    urls, images = tmp_path / "older" / "servers_batched", tmp_path / "older" / "downloaded_images"
    for number, url in enumerate([U, V]):
        batch = Path("server_name=A.example", f"partition_id={number}")
        (urls / batch).mkdir(parents=True)
        row = {"uuid": [f"u{number}"], "identifier": [url], "source_id": [str(number)]}
        pq.write_table(pa.table(row), urls / batch / "part-00000.snappy.parquet")
        (images / batch).mkdir(parents=True)
    (images / "server_name=A.example" / "partition_id=0" / "completed").touch()
    assert [(row["uuid"], row["identifier"]) for row in partitioned(urls, tmp_path / "out").rows()] == [("u1", V)]
