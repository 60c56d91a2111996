"""The demo from a folder, and into one, whose names have whatever names of folders have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.job import RunFolder, run_program

pytestmark = [pytest.mark.ray, pytest.mark.thorough]


def test_the_demo_runs_in_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    folder = tmp_path / "à côté, a=1 #2 [x] (3);'y'"
    folder.mkdir()
    done = run_program("+experiment=demo", "path_to_output=out é,b=2 (1)", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = RunFolder(folder / "out é,b=2 (1)").summary["rows"]
    assert rows["successes"] > 0
    assert rows["input"] == rows["successes"] + rows["errors"] + rows["rejected"]
