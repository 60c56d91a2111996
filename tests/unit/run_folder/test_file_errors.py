"""What the system says about a file of a run is one sentence; any other error is not about its files."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_downloader.errors import ExitCode, RunFolderError
from ray_downloader.run_folder.file_errors import file_error, list_error, require_damage
from ray_downloader.run_folder.identity import load_identity
from ray_downloader.run_folder.layout import OutputStructure, RunLayout
from ray_downloader.run_folder.markers import read_marker
from ray_downloader.run_folder.retry_order import load_retry_order
from ray_downloader.run_folder.server_states import load_server_states
from ray_downloader.run_folder.small_tables import read_small_table
from tests.support.out_of_reach import no_more_files

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
    assert str(file_error(OSError(number, "x", "/tmp/a"), ROOT)).startswith(f"/tmp/a: {words}; ")
    assert str(file_error(OSError(number, "x"), ROOT)).startswith(f"/out: {words}; what was settled is safe")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE], ids=["process", "machine"])
def test_too_many_open_files_are_said_with_the_limit_to_raise(number: int) -> None:
    said = str(file_error(OSError(number, "x", "/tmp/a"), ROOT))
    assert said.startswith("/tmp/a cannot be opened, as too many files are open") and "ulimit -n" in said
    assert str(file_error(OSError(number, "x"), ROOT)).startswith("/out cannot be opened")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EISDIR, "Is a directory"),
        (errno.ELOOP, "Too many levels of symbolic links"),
        (errno.EACCES, "Permission denied"),
        (errno.EIO, "Input/output error"),
    ],
    ids=["folder", "loop", "permission", "broken disk"],
)
def test_what_the_system_refuses_is_said_of_files_of_the_run_only(number: int, words: str) -> None:
    error = file_error(OSError(number, "x", "/out/.x.tmp", None, "/out/images/a"), ROOT)
    temp = OSError(number, "x", "/out/images/.0123456789ab-node-7-1.tmp")
    assert str(file_error(temp, ROOT)).startswith(f"/out/images cannot be used: {words}"), (
        "not a name that means nothing"
    )
    assert str(error).startswith(f"/out/images/a cannot be used: {words}; what was settled is safe")
    assert error is not None and error.exit_code is ExitCode.FAILED
    assert str(file_error(OSError(number, "x", b"/out/a"), ROOT)).startswith("/out/a cannot be used")
    assert file_error(OSError(number, "x", "/etc/a"), ROOT) is None
    assert file_error(OSError(number, "x"), ROOT) is None
    assert file_error(OSError(number, "x", 7), ROOT) is None, "a descriptor, whose file is unknown"


@pytest.mark.parametrize("error", [None, ValueError("x"), OSError("without a number")])
def test_other_errors_are_about_something_else(error: BaseException | None) -> None:
    assert file_error(error, ROOT) is None


@pytest.mark.parametrize(
    ("given", "file"),
    [("/lists/a.txt", "/lists/a.txt"), ("/lists", "/lists/b/c.csv"), ("/lists/*.csv", "/lists/c.csv")],
    ids=["file", "folder", "pattern"],
)
def test_a_list_that_the_system_refuses_is_a_mistake_of_its_own(given: str, file: str) -> None:
    error = list_error(OSError(errno.EACCES, "x", file), given)
    assert str(error) == f"{file} cannot be read: Permission denied"
    assert error is not None and error.exit_code is ExitCode.USAGE
    assert list_error(OSError(errno.EACCES, "x", "/other"), given) is None
    assert list_error(OSError(errno.EACCES, "x"), given) is None
    assert list_error(OSError("without a number"), given) is None


@pytest.mark.parametrize(
    "number",
    [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT],
    ids=errno.errorcode.get,
)
def test_a_file_out_of_reach_is_not_damaged(number: int) -> None:
    with pytest.raises(RunFolderError, match=r"^/out/run\.json cannot be (used|opened).*the same command continues"):
        require_damage(OSError(number, "x"), ROOT / "run.json")


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "x"), OSError(errno.EISDIR, "x"), OSError("no thrift"), ValueError("x")], ids=repr
)
def test_what_is_wrong_with_the_content_is_damage(error: Exception) -> None:
    require_damage(error, ROOT / "run.json")


@pytest.mark.parametrize(
    "read",
    [
        load_identity,
        load_retry_order,
        load_server_states,
        lambda layout: read_marker(layout.root),
        lambda layout: read_small_table(layout.batches_table, ["batch_id"]),
    ],
    ids=["run.json", "retry.json", "servers.json", "marker", "batches.parquet"],
)
def test_readers_do_not_take_a_file_out_of_reach_for_a_damaged_one(
    tmp_path: Path, read: Callable[[RunLayout], object]
) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    with no_more_files(), pytest.raises(RunFolderError, match="too many files are open already"):
        read(layout)
