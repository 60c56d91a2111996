"""A job in a container: a script stands in for the runtime, and Slurm is real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.running import RunningOrigin
from tests.support.slurm import submit
from tests.support.slurm_runs import arguments, assert_settled_once

pytestmark = [pytest.mark.slurm, pytest.mark.slurm_soak]

#: Runs what follows the image, and notes where.
RUNTIME = """#!/bin/bash
echo "$(hostname -s) $*" >>{calls}
while [[ $1 != *.sif ]]; do shift; done
shift
exec "$@"
"""


def test_the_program_and_every_step_run_in_the_container(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    runtime, calls = shared_folder / "bin" / "apptainer", shared_folder / "calls"
    runtime.parent.mkdir()
    runtime.write_text(RUNTIME.replace("{calls}", str(calls)))
    runtime.chmod(0o755)
    image = shared_folder / "image.sif"
    image.touch()
    site = shared_folder / "container.env"
    site.write_text(f"export PATH={runtime.parent}:$PATH\nCONTAINER=apptainer:{image}\n")
    run = arguments(shared_folder, slurm_origin, "contained", rows=200, rate_rps=4.0)
    job = submit(shared_folder, *run, RAY_DOWNLOADER_SITE_ENV=str(site))
    assert job.wait() == "COMPLETED 0:0", job.log
    assert_settled_once(shared_folder, "contained", rows=200)
    noted = calls.read_text()
    for module in ("ray_downloader", "ray_downloader.slurm.node_check", "ray_downloader.slurm.ray_node"):
        assert f" -m {module} " in noted, module
    nodes = {line.split()[0] for line in noted.splitlines() if "-m ray_downloader.slurm.ray_node" in line}
    assert nodes == set(idle_nodes), os.linesep.join(noted.splitlines())
