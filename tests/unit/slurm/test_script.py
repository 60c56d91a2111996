"""The sbatch script as users of the wheel get it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ray_downloader.slurm.__main__ import FILES, main


def test_the_script_is_written_where_the_user_wants_it(tmp_path: Path) -> None:
    written = main(tmp_path / "jobs")
    assert [path.name for path in written] == list(FILES)
    assert os.access(written[0], os.X_OK)


def test_what_the_user_changed_is_kept(tmp_path: Path) -> None:
    (tmp_path / FILES[0]).write_text("mine", "utf-8")
    assert [path.name for path in main(tmp_path)] == [FILES[1]]
    assert (tmp_path / FILES[0]).read_text("utf-8") == "mine"


def test_bash_can_read_the_script(tmp_path: Path) -> None:
    script = main(tmp_path)[0]
    subprocess.run(["bash", "-n", str(script)], check=True)
