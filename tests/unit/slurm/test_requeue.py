"""How often a job may come back."""

from __future__ import annotations

import pytest

from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.requeue import may_requeue


@pytest.mark.parametrize(("restarts", "may"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_job_comes_back_num_downloads_times(restarts: int, may: bool) -> None:
    assert may_requeue(Allocation(1, (2,), restarts=restarts), num_downloads=2) is may
