"""A disk without room is one sentence; any other error is not about the disk."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ray_downloader.run_folder.full_disk import full_disk_error

ROOT = Path("/out")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space or no inodes are left on its disk"),
        (errno.EDQUOT, "the quota of its disk is used up"),
        (errno.EROFS, "its disk is read-only"),
        (errno.EFBIG, "a file may not become that large"),
    ],
    ids=["space", "quota", "read-only", "large file"],
)
def test_what_a_disk_lacks_is_said_of_the_file_or_else_of_the_run_folder(number: int, words: str) -> None:
    assert str(full_disk_error(OSError(number, "x", "/out/images/a"), ROOT)).startswith(f"/out/images/a: {words}; ")
    assert str(full_disk_error(OSError(number, "x"), ROOT)).startswith(f"/out: {words}; what was settled is safe")


@pytest.mark.parametrize("error", [None, ValueError("x"), OSError(errno.EACCES, "x"), OSError("without a number")])
def test_other_errors_are_about_something_else(error: BaseException | None) -> None:
    assert full_disk_error(error, ROOT) is None
