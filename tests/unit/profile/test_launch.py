from pathlib import Path

import pytest

from ray_downloader.config.settings import ProfileSettings
from ray_downloader.errors import UserError
from ray_downloader.profile.launch import choose_launch, find_mpiexec

MPIEXEC = Path("/opt/mpi/bin/mpiexec")


def an_mpiexec(folder: Path) -> Path:
    folder.mkdir()
    file = folder / "mpiexec"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_the_mpiexec_beside_the_interpreter_comes_before_the_path(tmp_path: Path) -> None:
    own, other = an_mpiexec(tmp_path / "venv"), an_mpiexec(tmp_path / "system")
    assert find_mpiexec(own.parent / "python", str(other.parent)) == own
    assert find_mpiexec(tmp_path / "python", str(other.parent)) == other
    assert find_mpiexec(tmp_path / "python", str(tmp_path)) is None


def test_there_is_a_rank_for_each_core() -> None:
    launch = choose_launch(ProfileSettings(), MPIEXEC, cores=8, pieces=100)
    assert (launch.mpiexec, launch.ranks) == (MPIEXEC, 8)
    assert str(MPIEXEC) in launch.reason


def test_there_are_no_more_ranks_than_pieces_of_work() -> None:
    assert choose_launch(ProfileSettings(), MPIEXEC, cores=8, pieces=3).ranks == 3


def test_work_for_one_needs_no_mpi() -> None:
    assert choose_launch(ProfileSettings(), MPIEXEC, cores=8, pieces=1).mpiexec is None


def test_without_mpiexec_one_rank_says_what_installs_it() -> None:
    launch = choose_launch(ProfileSettings(), None, cores=8, pieces=100)
    assert (launch.mpiexec, launch.ranks) == (None, 1)
    assert "ray-downloader[mpich]" in launch.reason


def test_inline_is_one_rank_whatever_there_is() -> None:
    assert choose_launch(ProfileSettings(launcher="inline"), MPIEXEC, cores=8, pieces=100).mpiexec is None


def test_to_insist_on_mpiexec_where_there_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"profile\.launcher=mpiexec.*ray-downloader\[mpich\]"):
        choose_launch(ProfileSettings(launcher="mpiexec"), None, cores=8, pieces=100)
