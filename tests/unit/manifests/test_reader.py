"""Which documents are fetched, and what becomes of them; the network is a table of documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ray_downloader.config.contact import ContactCheck
from ray_downloader.config.settings import Settings
from ray_downloader.errors import DamagedFileError, ErrorKind
from ray_downloader.image import ImageError
from ray_downloader.manifests import reader
from ray_downloader.manifests.fetching import keep_document
from ray_downloader.manifests.store import DocumentStore
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import ErrorRecord, ImageRecord
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.row import RowState
from tests.support.manifests import collection, manifest

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Web:
    """Documents by URL; what is missing is a 404."""

    def __init__(self, folder: Path, documents: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.documents = dict(documents)
        self.requested: list[str] = []
        self.kind = ErrorKind.HTTP_4XX
        settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": str(folder / "out")})
        self.layout = RunLayout.of(settings)
        contact = ContactCheck(settings, lambda server: pytest.fail(f"{server} is public"))
        self.reader = reader.ManifestReader(settings, self.layout, contact, lambda _: None)
        monkeypatch.setattr(reader, "fetch_documents", self._fetch)

    def _fetch(self, _context: object, store: DocumentStore, _budgets: object) -> None:
        for layout, item in store.work():
            batch = BatchWork(layout, item, "attempt", BatchOptions())
            while batch.wants_chunk:
                for row in list(batch.next_rows()):
                    self.requested.append(row.identifier)
                    row.move(RowState.IN_FLIGHT)
                    self._settle(batch, row)
            batch.publish()

    def _settle(self, batch: BatchWork, row: Any) -> None:
        if row.identifier not in self.documents:
            batch.settle_error(row, ErrorRecord(0, 404, "HTTP status 404", str(self.kind), 404, None, NOW))
            return
        image = json.dumps(self.documents[row.identifier]).encode()
        row.move(RowState.BODY)
        batch.settle_image(
            row, ImageRecord("", "", (0, 0), (0, 0), image, "json", "json", 0, row.identifier, None, None, NOW)
        )

    def read(self, *urls: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
        """Why documents could not be read, and the rows of the others."""
        target = self.layout.root / "pictures.parquet"
        problems = self.reader(urls, target)
        return dict(problems), pq.read_table(target).to_pylist()


Open = Callable[[Mapping[str, Any]], Web]


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    return lambda documents: Web(tmp_path, documents, monkeypatch)


def at(name: str) -> str:
    return f"http://lib.example/{name}/manifest"


def book(name: str, pages: int = 1) -> dict[str, Any]:
    return manifest(at(name), "lib.example", name, pages)


def shelf(name: str, books: list[str], shelves: list[str] | None = None) -> dict[str, Any]:
    return collection(at(name), [at(book) for book in books], [at(one) for one in shelves or []])


def test_collections_are_followed_and_each_document_is_fetched_once(web: Open) -> None:
    there = web({at("s"): shelf("s", ["a", "b"], ["t"]), at("t"): shelf("t", ["b", "c"], ["s"])}
                | {at(name): book(name) for name in "abc"})  # fmt: skip
    problems, rows = there.read(at("s"), at("a"))
    assert not problems
    assert sorted(there.requested) == [at(name) for name in ("a", "b", "c", "s", "t")]
    assert {(row["service"], row["listed_manifest"]) for row in rows} == {
        ("http://lib.example/images/a-0", at("a")),
        ("http://lib.example/images/b-0", at("s")),
        ("http://lib.example/images/c-0", at("s")),
    }
    there.requested.clear()
    assert there.read(at("s"), at("a"))[0] == {}
    assert there.requested == []


def test_collections_deeper_than_the_bound_are_not_followed(web: Open) -> None:
    deep = reader.MOST_LEVELS + 2
    there = web({at(str(n)): shelf(str(n), [], [str(n + 1)]) for n in range(deep)} | {at(str(deep)): book("end")})
    problems, rows = there.read(at("0"))
    assert len(there.requested) == reader.MOST_LEVELS
    assert problems == {at("0"): "it names no picture"}
    assert [(row["image_url"], row["manifest_problem"]) for row in rows] == [
        (at(str(reader.MOST_LEVELS)), f"it is in a collection in a collection, {reader.MOST_LEVELS} deep")
    ]


def test_no_more_documents_are_followed_than_the_bound(web: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_FOLLOWED", 3)
    names = [f"b{n}" for n in range(5)]
    there = web({at("s"): shelf("s", names)} | {at(name): book(name) for name in names})
    problems, rows = there.read(at("s"))
    assert len(there.requested) == 1 + 3
    assert len(rows) == 3
    assert problems == {at("s"): "collections name more than 3 documents; list the manifests"}


def test_only_failures_that_may_pass_are_requested_again(web: Open) -> None:
    there = web({})
    assert there.read(at("a"))[0] == {at("a"): "http_4xx: HTTP status 404"}
    assert there.read(at("a"))[0]
    assert there.requested == [at("a")]
    there.kind = ErrorKind.HTTP_5XX
    there.read(at("b"))
    there.documents[at("b")] = book("b")
    assert there.read(at("b")) == ({}, [row for row in there.read(at("b"))[1] if row["service"]])
    assert there.requested == [at("a"), at("b"), at("b")]


def test_a_url_that_is_none_is_a_problem_of_its_own(web: Open) -> None:
    there = web({at("a"): book("a")})
    problems, rows = there.read("http://photo.jpg/manifest", at("a"))
    assert list(problems) == ["http://photo.jpg/manifest"] and problems["http://photo.jpg/manifest"].startswith("bad_")
    assert len(rows) == 1


def test_passwords_of_the_list_are_sent_and_not_written(web: Open) -> None:
    secret = "http://me:word@lib.example/a/manifest"
    there = web({secret: book("a")})
    assert there.read(secret)[0] == {}
    assert there.requested == [secret]
    there.requested.clear()
    assert there.read(secret)[0] == {} and there.requested == []
    assert there.layout.manifests.joinpath("0001").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "what came is not JSON"),
        (b"[" * 100_000, "what came is not JSON"),
        (b"[1, 2]", "what came is JSON, but not an IIIF"),
        (b'{"@context": "https://schema.org", "id": "x"}', "what came is JSON, but not an IIIF"),
    ],
    ids=["page", "nested", "list", "other"],
)
def test_what_is_not_a_document_is_an_error(body: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as raised:
        keep_document(body, True, False)
    assert raised.value.kind is ErrorKind.NOT_IMAGE


def test_a_document_is_kept_as_it_came() -> None:
    body = b"\xef\xbb\xbf" + json.dumps(book("a")).encode()
    assert keep_document(body, True, False).image == body


def test_documents_of_a_damaged_table_are_fetched_again(web: Open) -> None:
    there = web({at("a"): book("a")})
    there.read(at("a"))
    (table,) = there.layout.manifests.glob("*/images/*/*/successes.parquet")
    table.write_bytes(table.read_bytes()[:-40])
    there.requested.clear()
    assert there.read(at("a"))[0] == {}
    assert there.requested == [at("a")]
    (table,) = there.layout.manifests.glob("*/images/*/*/successes.parquet")
    assert b'"Manifest"' in table.read_bytes()
    table.write_bytes(table.read_bytes().replace(b'"Manifest"', b'"Manifesto'))  # its size and its end are as they were
    with pytest.raises(DamagedFileError, match=r"successes\.parquet"):
        there.read(at("a"))
