"""What a run of GBIF's is cited by: its datasets with their counts, and the DOI of the download."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from ray_downloader.output.citation import CITATION, cite, download_doi, write_citation
from ray_downloader.run_folder.schemas import success_schema
from tests.support.stored import StoredRun, received, row

METADATA = '<eml:eml packageId="10.15468/dl.AB12cd"><alternateIdentifier>10.15468/dl.AB12cd</alternateIdentifier>'


def test_datasets_are_counted_over_all_batches(tmp_path: Path) -> None:
    run = StoredRun(tmp_path)
    schema, body = success_schema(["datasetKey"]), received(1)
    run.add([row("a", body, datasetKey="k1"), row("b", body, datasetKey="k2")], schema=schema)
    rest = [row("c", body, datasetKey="k2"), row("d", body, datasetKey=None), row("f", body, datasetKey="")]
    run.add(rest, "b.example", schema=schema)
    run.add([row("e", body)], "c.example")
    assert write_citation(run.layout) == 2
    assert (tmp_path / CITATION).read_text("utf-8").split() == ["datasetKey,count", "k2,2", "k1,1"]


def test_a_key_that_begins_like_a_formula_is_none(tmp_path: Path) -> None:
    run = StoredRun(tmp_path)
    run.add([row("a", received(1), datasetKey="=cmd|x!A1")], schema=success_schema(["datasetKey"]))
    assert write_citation(run.layout) == 1
    assert "\n'=cmd|x!A1,1" in (tmp_path / CITATION).read_text("utf-8").replace("\r", "")


def test_other_lists_have_no_such_file(tmp_path: Path) -> None:
    run = StoredRun(tmp_path)
    run.add([row("e", received(1))])
    assert write_citation(run.layout) == 0
    assert not (tmp_path / CITATION).exists()


def test_the_doi_of_the_download_is_in_its_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "metadata.xml").write_text(METADATA)
    (folder / "multimedia.txt").write_text("x")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("metadata.xml", METADATA)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("multimedia.txt", "x")
    for path in (folder, folder / "multimedia.txt", tmp_path / "d.zip"):
        assert download_doi(str(path)) == "10.15468/dl.ab12cd"
    for path in (tmp_path / "other.zip", tmp_path / "gone.zip", tmp_path):
        assert download_doi(str(path)) is None


def test_the_summary_has_the_doi_also_after_the_list_is_gone(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    assert cite(run.layout, "gone.zip", None) is None
    run.add([row("a", received(1), datasetKey="k1")], schema=success_schema(["datasetKey"]))
    (tmp_path / "metadata.xml").write_text(METADATA)
    said = cite(run.layout, str(tmp_path), None)
    assert said == {"file": CITATION, "datasets": 1, "download_doi": "10.15468/dl.ab12cd"}
    assert cite(run.layout, "gone.zip", said) == said
    assert cite(run.layout, "gone.zip", None) == {**said, "download_doi": None}


@pytest.mark.parametrize(
    ("place", "flag"), [(8, 99), (6, 1), (40, 0xFF)], ids=["unknown compression", "with a password", "damaged"]
)
def test_an_archive_that_cannot_be_read_names_no_doi_and_ends_nothing(tmp_path: Path, place: int, flag: int) -> None:
    """It is looked into after the last picture has come, so a password was a traceback at the end of a run."""
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.xml", METADATA * 9)
    content = bytearray(path.read_bytes())
    content[place] ^= flag
    if place < 10:  # the directory at the end says it, too
        content[content.index(b"PK\x01\x02") + place + 2] ^= flag
    path.write_bytes(content)
    assert download_doi(str(path)) is None


def test_metadata_of_any_size_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("metadata.xml", "w") as file:
        file.write(METADATA.encode())
        for _ in range(64):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    assert download_doi(str(path)) == "10.15468/dl.ab12cd"
    assert tracemalloc.get_traced_memory()[1] < 60 * 2**20
    tracemalloc.stop()
