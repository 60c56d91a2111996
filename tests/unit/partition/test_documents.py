"""Rows that name IIIF documents become the rows of the pictures in them. The network is a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.partition import leave_unread, partition
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.sources.iiif_documents import IIIF_COLUMNS
from tests.support.lists import Partitioned

pytestmark = pytest.mark.stage

A, B, C = (f"https://lib.example/{name}/manifest.json" for name in "abc")


class _Library:
    """Documents by URL, each with its pictures; others cannot be read."""

    def __init__(self, pictures: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
        self._pictures = pictures
        self.asked: list[list[str]] = []

    def __call__(self, urls: Sequence[str], target: Path) -> Mapping[str, str]:
        self.asked.append(list(urls))
        rows = [{**one, "listed_manifest": url} for url in urls for one in self._pictures.get(url, ())]
        names = (*IIIF_COLUMNS, "listed_manifest", "manifest_problem")
        if rows:
            pq.write_table(
                pa.table({name: pa.array([one.get(name) for one in rows], pa.string()) for name in names}), target
            )
        return {url: f"no {url[-15:-14]}" for url in urls if url not in self._pictures}


def read(folder: Path, text: str, library: _Library, **dataset: Any) -> tuple[Partitioned, list[str]]:
    (folder / "list.csv").write_text(text)
    settings = Settings.from_config(
        {
            "path_to_input": str(folder / "list.csv"),
            "path_to_output": folder / "out",
            "dataset": {"name": "iiif", **dataset},
        }
    )
    layout, said = RunLayout.of(settings), []
    summary = partition(settings, layout, said.append, read_documents=library)
    return Partitioned(layout, summary), said


def picture(name: str, **columns: str) -> dict[str, str]:
    return {"image_url": f"https://img.example/{name}.jpg", "canvas": f"c{name}", **columns}


def test_pictures_take_the_place_of_the_document_that_has_them(tmp_path: Path) -> None:
    library = _Library({A: [picture("1"), picture("2")], B: [picture("3")]})
    result, said = read(tmp_path, f"url\n{A}\nhttps://img.example/own.jpg\n{B}\n", library)
    assert library.asked == [[A, B]], "each once, in the order of the list"
    assert result.identifiers() == [f"https://img.example/{name}.jpg" for name in ("1", "2", "3", "own")]
    assert result.rejected() == []
    assert result.summary.input_rows == 4
    assert said[-2] == "manifests: 2 of 2 read, 3 pictures in them"


def test_a_picture_is_judged_as_a_row_of_the_list_is(tmp_path: Path) -> None:
    """A cell may have several URLs, and one that is none is rejected under a name that the user knows."""
    two = {**picture("1"), "image_url": "https://img.example/1.jpg | https://img.example/2.jpg"}
    result, _ = read(
        tmp_path, f"url\n{A}\n", _Library({A: [two, {**picture("3"), "image_url": "ftp://img.example/3"}]})
    )
    assert result.identifiers() == ["https://img.example/1.jpg", "https://img.example/2.jpg"]
    rejected = [(one["identifier"], one["reason"], one["file"]) for one in result.rejected()]
    assert rejected == [("ftp://img.example/3", "bad_url", "the documents")]


def test_where_nobody_reads_documents_each_has_that_as_its_reason(tmp_path: Path) -> None:
    assert leave_unread([A, B], tmp_path / "none") == {A: "it was not fetched", B: "it was not fetched"}


def test_a_document_that_is_named_again_is_a_repeated_row(tmp_path: Path) -> None:
    library = _Library({A: [picture("1")]})
    result, _ = read(tmp_path, f"url\n{A}\n{A}\n{A}\n", library)
    assert library.asked == [[A]]
    assert result.identifiers() == ["https://img.example/1.jpg"]
    assert sorted((one["reason"], one["line"]) for one in result.rejected()) == [("repeated", 3), ("repeated", 4)]


def test_a_document_that_cannot_be_read_is_a_rejected_row_with_the_reason(tmp_path: Path) -> None:
    result, said = read(tmp_path, f"url\n{A}\n{B}\n{B}\n", _Library({A: [picture("1")]}))
    rejected = [(one["identifier"], one["reason"], one["detail"]) for one in result.rejected()]
    assert rejected == [(B, "iiif_manifest", "no b")] * 2
    assert said[:2] == [f"{B} could not be read: no b", "manifests: 1 of 2 read, 1 pictures in them"]


def test_the_first_five_problems_are_said(tmp_path: Path) -> None:
    urls = [f"https://lib.example/{number}/manifest.json" for number in range(6)]
    own = "https://img.example/own.jpg"
    result, said = read(tmp_path, "url\n" + "\n".join([*urls, own]) + "\n", _Library({}))
    assert [one.partition(" could")[0] for one in said if "could not be read" in one] == urls[:5]
    assert len(result.rejected()) == 6
    assert said[-2] == "manifests: 0 of 6 read, 0 pictures in them"


def test_a_picture_inherits_what_its_document_does_not_state(tmp_path: Path) -> None:
    library = _Library(
        {A: [picture("1"), picture("2", rights="https://creativecommons.org/licenses/by/4.0/", label="own")]}
    )
    text = f"url,license,title,shelf\n{A},CC0,listed,7\nhttps://img.example/x.jpg,,,8\n"
    columns = {"license": "license", "title": "title"}
    result, _ = read(tmp_path, text, library, keep=["shelf"], columns=columns)
    rows = {one["identifier"][20:-4]: one for one in result.rows()}
    assert (rows["1"]["license"], rows["1"]["title"], rows["1"]["keep.shelf"]) == ("CC0", "listed", "7")
    stated = "https://creativecommons.org/licenses/by/4.0/"
    assert (rows["2"]["license"], rows["2"]["title"], rows["2"]["keep.shelf"]) == (stated, "own", "7")
    assert rows["x"]["keep.shelf"] == "8" and rows["x"]["license"] is None


def test_a_list_without_documents_asks_for_none(tmp_path: Path) -> None:
    library = _Library({})
    result, said = read(tmp_path, "url\nhttps://img.example/x.jpg\n", library)
    assert (library.asked, result.identifiers()) == ([], ["https://img.example/x.jpg"])
    assert not [one for one in said if one.startswith("manifests:")]


def test_documents_that_nobody_reads_are_each_said_not_to_have_been_fetched(tmp_path: Path) -> None:
    urls = ["http://a.example/1.json", "http://a.example/2.json"]
    assert leave_unread(urls, tmp_path / "x.parquet") == dict.fromkeys(urls, "it was not fetched")
    assert not (tmp_path / "x.parquet").exists()
