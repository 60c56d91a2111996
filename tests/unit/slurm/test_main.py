"""`python -m ray_downloader.slurm` writes the script and the example of site.env."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ray_downloader.slurm.__main__ import FILES, main


def test_both_files_are_written_into_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(folder) == [folder / name for name in FILES]
    assert (folder / FILES[0]).read_text().startswith("#!/bin/bash\n")
    assert subprocess.run(["bash", "-n", folder / FILES[0]], check=False).returncode == 0


def test_files_that_exist_are_kept(tmp_path: Path) -> None:
    (tmp_path / FILES[1]).write_text("mine")
    assert main(tmp_path) == [tmp_path / FILES[0]]
    assert (tmp_path / FILES[1]).read_text() == "mine"
    assert main(tmp_path) == []
