"""What a list is, by its content: read once, and again only if a file was touched."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.partition import content
from ray_downloader.partition.content import content_of_list
from ray_downloader.run_folder.identity import UNKNOWN_LIST, ListIdentity
from ray_downloader.run_folder.layout import RunLayout


def identity(path: Path | str, out: Path, known: ListIdentity = UNKNOWN_LIST) -> ListIdentity:
    settings = Settings.from_config({"path_to_input": str(path), "path_to_output": str(out)})
    return content_of_list(settings, RunLayout.of(settings), known)


def test_one_file_is_known_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"http://a.org/1.jpg\n")
    found = identity(path, tmp_path / "out")
    assert found == ListIdentity(sha256(path.read_bytes()).hexdigest(), 19, 0, str(path), found.stamp)
    assert len(found.stamp) == 16
    with pytest.raises(UserError, match="does not exist"):
        identity(tmp_path / "gone.txt", tmp_path / "out")


def test_a_list_is_read_again_only_if_it_was_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.txt"
    path.write_text("http://a.org/1.jpg\n")
    known = replace(identity(path, tmp_path / "out"), rows=17, path="elsewhere")
    with monkeypatch.context() as patched:
        patched.setattr(content, "sha256_of", lambda _: pytest.fail("it was not touched"))
        assert identity(path, tmp_path / "out", known) == replace(known, path=str(path))
    os.utime(path, ns=(1, 1))
    again = identity(path, tmp_path / "out", known)
    assert again.stamp != known.stamp
    assert replace(again, stamp=known.stamp) == replace(known, path=str(path)), "its rows are those of the same list"
    without_checksum = replace(again, sha256="")
    assert identity(path, tmp_path / "out", without_checksum).sha256 == again.sha256


def test_several_files_are_known_by_their_contents_and_not_by_their_names_or_order(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    first, second = folder / "1.txt", folder / "2.txt"
    first.write_text("http://a.org/1.jpg\n")
    second.write_text("http://a.org/22.jpg\n")
    before = identity(folder, tmp_path / "out")
    checksums = sorted(sha256(path.read_bytes()).hexdigest() for path in (first, second))
    assert before.sha256 == sha256("\n".join(checksums).encode()).hexdigest()
    assert before.size_bytes == 19 + 20
    second.rename(folder / "0.txt")
    renamed = identity(folder, tmp_path / "out")
    assert renamed.sha256 == before.sha256 and renamed.stamp != before.stamp
    first.write_text("http://a.org/3.jpg\n")
    assert identity(folder, tmp_path / "out").sha256 != before.sha256


def test_an_archive_is_all_of_its_files(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (archive / "deeper").mkdir(parents=True)
    field = '<id index="0"/><field index="1" term="http://purl.org/dc/terms/identifier"/>'
    (archive / "meta.xml").write_text(
        '<archive xmlns="http://rs.tdwg.org/dwc/text/"><core rowType="http://rs.gbif.org/terms/1.0/Multimedia">'
        f"<files><location>m.txt</location></files>{field}</core></archive>"
    )
    (archive / "m.txt").write_text("1\thttp://a.org/1.jpg\n")
    before = identity(archive, tmp_path / "out")
    assert before.size_bytes == sum(path.stat().st_size for path in archive.rglob("*") if path.is_file())
    (archive / "deeper" / "more.txt").write_text("x")
    after = identity(archive, tmp_path / "out")
    assert after.size_bytes == before.size_bytes + 1
    assert after.sha256 != before.sha256
