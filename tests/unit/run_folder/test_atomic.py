"""A file appears whole or not at all, and is on the disk before it has its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ray_downloader.run_folder.atomic import is_set_aside, remove_temps, replacing, set_aside, write_text


def test_a_failed_write_leaves_the_old_file_and_no_temp_file(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temp:
        temp.write_text("half", "utf-8")
        raise ZeroDivisionError
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf8_whatever_the_locale_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "note.txt"
    write_text(path, "Müller\n")
    write_text(path, "Müller 2\n")
    assert path.read_bytes() == "Müller 2\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_in_the_place_of_a_file_is_set_aside_with_all_that_is_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "note.txt"
    for number in (1, 2):
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "kept").write_text(str(number))
        write_text(path, "new\n")
        assert path.read_text() == "new\n"
    assert (tmp_path / "damaged-note.txt" / "kept").read_text() == "1"
    assert (tmp_path / "damaged-note.txt-2" / "kept").read_text() == "2"
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is a folder, and not the file that belongs there; it is {tmp_path}/{name} now"
        for name in ("damaged-note.txt", "damaged-note.txt-2")
    ]


def test_a_file_is_set_aside_in_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    for text in ("one", "two"):
        path.write_text(text)
        assert set_aside(path) == tmp_path / "damaged-note.txt"
    assert [file.read_text() for file in tmp_path.iterdir()] == ["two"]
    assert is_set_aside(tmp_path / "damaged-note.txt") and not is_set_aside(path)
    set_aside(path)  # which is not there any more
    path.symlink_to(path.name)
    assert set_aside(path).is_symlink()


def test_the_temp_file_is_beside_the_file_hidden_and_of_this_process(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    with replacing(path) as temp:
        assert temp.parent == tmp_path and temp.name.startswith(".") and f"-{os.getpid()}-" in temp.name
        with replacing(path) as other:
            assert other != temp, "another write of this process at the same time"
            other.write_text("newer", "utf-8")
        assert path.read_text("utf-8") == "newer"
        temp.write_text("new", "utf-8")
    assert path.read_text("utf-8") == "new"


def test_the_bytes_reach_the_disk_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    inodes = {tmp_path.stat().st_ino: "folder"}
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        events.append(f"fsync {inodes.get(os.fstat(descriptor).st_ino, 'file')}")
        sync(descriptor)

    def noted_replace(source: Path, target: Path) -> Path:
        events.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_text(tmp_path / "marker", "done\n")
    assert events == ["fsync file", "rename", "fsync folder"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None  # noqa: PTH208
    for number in range(3):
        write_text(tmp_path / f"{number}.txt", "x")
    after = len(os.listdir("/proc/self/fd")) if before is not None else None  # noqa: PTH208
    assert after == before


def test_the_longest_name_of_a_file_has_room_for_a_temp_file(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_text(path, "new")
    assert path.read_text("utf-8") == "new"


def test_what_killed_writes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".0123-node-1-7-0.tmp", ".table.txt.99.tmp", "table.tmp", ".hidden", "table"):
        (tmp_path / name).touch()
    remove_temps(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "table", "table.tmp"]
    remove_temps(tmp_path / "not there")


def test_a_temp_file_that_is_gone_before_it_is_removed_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that find the same left-overs may remove them at the same time."""
    monkeypatch.setattr(Path, "glob", lambda folder, _: [folder / ".0123-node-1-7-0.tmp", folder / ".left.tmp"])
    (tmp_path / ".left.tmp").touch()
    remove_temps(tmp_path)
    assert list(tmp_path.iterdir()) == []
