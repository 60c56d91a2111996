"""What a node does before it starts Ray."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.slurm.ray_node import _remove_leftovers
from tests.unit.slurm.conftest import Fake


def test_only_folders_of_jobs_that_are_over_are_removed(fake: Fake, tmp_path: Path) -> None:
    fake(
        "scontrol", 'case "$4" in 5) echo "JobId=5 JobState=RUNNING" ;; *) echo "Invalid job id specified" >&2 ;; esac'
    )
    scratch = tmp_path / "scratch"
    for name in ("rd-4-1", "rd-5-0", "rd-7-0", "rd-mine-1", "other"):
        (scratch / name / "ray").mkdir(parents=True)
    _remove_leftovers(scratch / "rd-7-0")
    assert sorted(path.name for path in scratch.iterdir()) == ["other", "rd-5-0", "rd-mine-1"]
