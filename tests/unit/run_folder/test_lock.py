"""One process at a time in a folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from filelock import FileLock

from ray_downloader.cluster.private_folder import private_folder
from ray_downloader.errors import FolderBusyError, RunFolderError, UserError
from ray_downloader.run_folder.lock import holding, holding_run
from ray_downloader.run_folder.work_folder import make_private_base


def test_a_folder_is_held_for_the_length_of_the_block_and_made_where_there_is_none(tmp_path: Path) -> None:
    root = tmp_path / "new" / "out"
    with holding_run(root, root / ".lock"):
        assert root.is_dir()
        assert not is_free(root / ".lock")
    assert is_free(root / ".lock")


def test_the_folder_of_a_lock_is_made(tmp_path: Path) -> None:
    with holding(tmp_path / "new" / "folder" / ".lock", "busy"):
        assert (tmp_path / "new" / "folder" / ".lock").exists()


def test_a_block_that_fails_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), holding(tmp_path / ".lock", "busy"):
        raise ZeroDivisionError
    assert is_free(tmp_path / ".lock")


def test_a_folder_that_another_holds_is_refused_at_once_by_name(tmp_path: Path) -> None:
    refused = pytest.raises(FolderBusyError, match=f"another run holds {tmp_path}.*wait for it")
    with FileLock(tmp_path / ".lock"), refused, holding_run(tmp_path, tmp_path / ".lock"):
        raise AssertionError("it was held twice")
    with holding(tmp_path / ".lock", "busy"):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS], ids=["space", "quota", "read-only"])
def test_a_disk_that_is_full_is_no_mistake_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(number, "full")

    root = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", full)
        with pytest.raises(RunFolderError, match="the same command continues"), holding_run(root, root / ".lock"):
            raise AssertionError("it was held")
        with pytest.raises(RunFolderError, match="the same command continues"):
            make_private_base(root)
        with pytest.raises(RunFolderError, match="the same command continues"):
            private_folder(root)
    root.mkdir()
    monkeypatch.setattr(os, "open", full)
    with pytest.raises(RunFolderError, match="the same command continues"), holding_run(root, root / ".lock"):
        raise AssertionError("it was held")


def test_a_folder_that_cannot_be_made_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used"), holding(tmp_path / "file" / "out" / ".lock", "busy"):
        raise AssertionError("it was held")
    root = tmp_path / "file" / "out"
    sentence = f"^path_to_output={root} cannot be used: Not a directory"
    with pytest.raises(UserError, match=sentence), holding_run(root, root / ".lock"):
        raise AssertionError("it was held")


def is_free(lock_file: Path) -> bool:
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        return False
    lock.release()
    return True
