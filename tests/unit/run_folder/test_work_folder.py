"""The note in a work folder, and the folder in which work folders are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from ray_downloader.run_folder import work_folder
from ray_downloader.run_folder.work_folder import STORE, WorkNote, make_private_base, shown_place


def test_a_note_is_read_as_it_was_written_and_names_its_folder_uniquely(tmp_path: Path) -> None:
    note, other = WorkNote.new("s3://bucket/run"), WorkNote.new("s3://bucket/run")
    assert note.work != other.work and not note.is_whole
    assert WorkNote.load(tmp_path) is None
    note.save(tmp_path)
    assert WorkNote.load(tmp_path) == note
    assert shown_place(tmp_path) == "s3://bucket/run"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"url": "s3://b/r"}'])
def test_a_damaged_note_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / STORE).mkdir()
    (tmp_path / STORE / "work.json").write_text(text)
    assert WorkNote.load(tmp_path) is None
    assert shown_place(tmp_path) == str(tmp_path)


def test_the_base_is_closed_to_others_also_if_it_was_open(tmp_path: Path) -> None:
    for base in (tmp_path / "a" / "b", tmp_path / "open"):
        if base.name == "open":
            base.mkdir(mode=0o755)
        make_private_base(base)
        make_private_base(base)
        assert stat.S_IMODE(base.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o701, 0o702, 0o704, 0o710, 0o720, 0o740], ids=oct)
def test_a_base_that_is_open_to_others_in_any_way_is_closed(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    make_private_base(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_base_of_ones_own_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setattr(Path, "chmod", None)
    make_private_base(tmp_path)


def test_a_name_that_somebody_else_has_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"file cannot be used for the run's work: .*; name another folder with cluster"
    ):
        make_private_base(tmp_path / "file")
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="is not a folder of yours"):
        make_private_base(tmp_path / "link")
    monkeypatch.setattr(work_folder.os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(UserError, match="is not a folder of yours"):
        make_private_base(tmp_path / "mine")
