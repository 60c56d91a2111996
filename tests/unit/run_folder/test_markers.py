"""A finished folder has a marker that folder readers skip; the earlier name still counts."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.run_folder.markers import find_marker, finished_folders, read_marker, remove_marker, write_marker


def test_a_marker_is_written_under_its_new_name_and_read_under_both(tmp_path: Path) -> None:
    assert (find_marker(tmp_path), read_marker(tmp_path)) == (None, None)
    write_marker(tmp_path, "text")
    assert (find_marker(tmp_path), read_marker(tmp_path)) == (tmp_path / "_completed", "text")
    (tmp_path / "_completed").rename(tmp_path / "completed")
    assert (find_marker(tmp_path), read_marker(tmp_path)) == (tmp_path / "completed", "text")


def test_the_newer_name_counts_and_both_are_removed(tmp_path: Path) -> None:
    (tmp_path / "completed").write_text("old")
    write_marker(tmp_path, "new")
    assert read_marker(tmp_path) == "new"
    remove_marker(tmp_path)
    assert find_marker(tmp_path) is None
    remove_marker(tmp_path)


def test_finished_folders_are_found_once_in_order(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
    write_marker(tmp_path / "a", "")
    (tmp_path / "a" / "completed").touch()
    (tmp_path / "b" / "completed").touch()
    assert list(finished_folders(tmp_path, "*")) == [tmp_path / "a", tmp_path / "b"]


def test_a_damaged_marker_is_one_without_text_and_not_none(tmp_path: Path) -> None:
    """The folder was finished: what is wrong with its marker is found by whoever checks its text."""
    (tmp_path / "_completed").write_bytes(b"\xff")
    assert read_marker(tmp_path) == "\ufffd"
    (tmp_path / "_completed").unlink()
    (tmp_path / "_completed").mkdir()
    assert read_marker(tmp_path) == ""
    assert find_marker(tmp_path) == tmp_path / "_completed"
