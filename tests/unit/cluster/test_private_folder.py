"""The folder above Ray's sockets and logs is this user's alone, whoever was there first."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ray_downloader.cluster import private_folder as module
from ray_downloader.cluster.private_folder import private_folder
from ray_downloader.errors import UserError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_it_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first = private_folder(tmp_path)
    assert (mode(first), first.parent) == (0o700, tmp_path)
    first.chmod(0o777)
    assert private_folder(tmp_path) == first
    assert mode(first) == 0o700
    assert len(first.name) < 20, "paths of sockets are short"


def test_a_link_or_file_of_its_name_is_not_used(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir(mode=0o777)
    (tmp_path / f"rd-{os.getuid()}").symlink_to(trap)
    chosen = private_folder(tmp_path)
    assert chosen.resolve() != trap
    assert mode(chosen) == 0o700


def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = private_folder(tmp_path)
    monkeypatch.setattr(module.os, "getuid", lambda: os.geteuid() + 1)
    theirs.rename(tmp_path / f"rd-{os.geteuid() + 1}")
    assert private_folder(tmp_path).name != f"rd-{os.geteuid() + 1}"


def test_a_place_where_no_folder_can_be_made_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for scratch, words in ((tmp_path / "missing", "No such file or directory"), (file, "Not a directory")):
        with pytest.raises(UserError, match=f"^cluster.scratch={scratch} cannot be used: {words}; name a folder"):
            private_folder(scratch)
