"""One process at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
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


def refusing(number: int) -> Callable[[int, int], None]:
    """A file system that answers each attempt to lock a file so."""

    def flock(_descriptor: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EACCES], ids=["would block", "NFS"])
def test_a_lock_that_another_process_has_is_called_so_whatever_the_file_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / ".lock-lease").write_text('{"pid": 12, "host": "node-1"}')
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr(os, "close", lambda descriptor: closed.append(descriptor) or close(descriptor))
    refused = pytest.raises(FolderBusyError, match=r"^busy, or wait for it to end \(process 12 on node-1\)$")
    with refused, holding(tmp_path / ".lock", "busy"):
        raise AssertionError("it was held")
    assert len(closed) == 1
    (tmp_path / ".lock-lease").unlink()
    with pytest.raises(FolderBusyError, match=r"^busy, or wait for it to end$"), holding(tmp_path / ".lock", "busy"):
        raise AssertionError("it was held")


def test_a_lock_that_fails_for_another_reason_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    sentence = f"^{tmp_path} cannot be used: Input/output error$"
    with pytest.raises(UserError, match=sentence), holding(tmp_path / ".lock", "busy"):
        raise AssertionError("it was held")
    assert not (tmp_path / ".lock-lease").exists()


@pytest.mark.parametrize(
    "number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL], ids=errno.errorcode.get
)
def test_where_there_are_no_locks_a_folder_is_held_by_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    with holding(tmp_path / ".lock", "busy"):
        assert (tmp_path / ".lock-lease").exists()
    assert not (tmp_path / ".lock-lease").exists()


def is_free(lock_file: Path) -> bool:
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        return False
    lock.release()
    return True
