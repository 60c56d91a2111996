"""CONTAINER= of a site: the program runs in a container, and Slurm's commands are called out of it, under bash.

The runtimes are small scripts that run what they are given without Slurm on the PATH, as in an image.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.slurm.conftest import Fake
from tests.unit.slurm.test_batch_script import SCRIPT, program, wait_for

#: Runs what follows the image, which ends with `.sif`; an image has its own PATH.
RUNTIME = """while [ "${1%.sif}" = "$1" ]; do shift; done
shift
export PATH={inside}:/usr/bin:/bin IN_CONTAINER=yes
exec "$@"
"""
#: Starts what follows its options, as `srun` does on another node.
SRUN = """while [ "${1#-}" != "$1" ]; do shift; done
echo "variables: $SLURM_OF_STEP $IN_CONTAINER." >> {calls}
exec "$@"
"""
#: The interpreter of the image. As a step it says so, and ends with what it reads.
PYTHON = """#!/bin/bash
if [[ $1 == -c ]]; then exit 0; fi
if [[ $2 == step ]]; then
    echo "step in container: $IN_CONTAINER, arguments: <$3>"; echo "to stderr" >&2
    exit "$(cat)"
fi
printf '<%s>' "$@"; echo
{scenario}
"""


class Job:
    """A submission folder with an image, and the interpreter in it."""

    def __init__(self, folder: Path, inside: Path) -> None:
        self.folder, self.inside = folder, inside
        self.site("CONTAINER=apptainer:image.sif")
        (folder / "image.sif").touch()

    def site(self, text: str) -> None:
        (self.folder / "site.env").write_text(text + "\n")

    def python(self, scenario: str) -> None:
        program(self.inside / "python", PYTHON.replace("{scenario}", scenario))

    def environ(self) -> dict[str, str]:
        return {
            "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_CPUS_PER_NODE": "2",
            "HOME": str(self.folder), "PATH": os.environ["PATH"], "TMPDIR": str(self.folder.parent),
        }  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(SCRIPT), *arguments], cwd=self.folder, env=self.environ(), capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip


@pytest.fixture
def job(tmp_path: Path, fake: Fake) -> Job:
    folder, inside = tmp_path / "submitted here", tmp_path / "inside"
    folder.mkdir()
    inside.mkdir()
    fake("scontrol", 'case "$*" in *requeue*) echo requeued; exit 3;; *) exit 1;; esac')
    fake("apptainer", RUNTIME.replace("{inside}", str(inside)))
    fake("srun", SRUN.replace("{calls}", str(tmp_path / "srun.calls")))
    made = Job(folder, inside)
    made.python("exit 5")
    return made


def test_the_program_runs_in_the_container_and_its_exit_code_is_the_jobs(job: Job, tmp_path: Path) -> None:
    job.site('CONTAINER=apptainer:image.sif CONTAINER_OPTIONS="--bind /scratch"')
    done = job.run("path_to_input=a b.txt")
    assert "<-m><ray_downloader><path_to_input=a b.txt><cluster=slurm>" in done.stdout, done.stderr
    assert done.returncode == 5
    assert all("--bind /scratch image.sif" in line for line in (tmp_path / "apptainer.calls").read_text().splitlines())
    assert not list(tmp_path.glob("rd-desk*"))


def test_what_srun_starts_runs_in_the_container_with_its_input_outputs_and_exit_code(job: Job, tmp_path: Path) -> None:
    job.python(
        "command -v srun | sed 's/.*rd-desk.*/a stand-in/'\n"
        'echo 4 | SLURM_OF_STEP=shown srun --mpi=none --nodes=2 "$BASH_SOURCE" -m step "two words"; echo "code $?"'
    )
    done = job.run()
    assert "a stand-in\nstep in container: yes, arguments: <two words>\ncode 4" in done.stdout, done.stderr
    assert "to stderr" in done.stderr
    step, variables = (tmp_path / "srun.calls").read_text().splitlines()
    assert step.startswith("--mpi=none --nodes=2 apptainer exec --bind ")
    assert step.endswith(f"image.sif {job.inside}/python -m step two words")
    assert "rd-desk" not in step, "that folder is there on this node only"
    assert variables == "variables: shown yes."


def test_other_commands_of_slurm_are_called_outside(job: Job, tmp_path: Path) -> None:
    job.python('scontrol requeue 7; echo "code $?"')
    assert "requeued\ncode 3" in job.run().stdout
    assert (tmp_path / "scontrol.calls").read_text().splitlines()[-1] == "requeue 7"


def test_several_steps_run_at_once(job: Job) -> None:
    step = 'srun --x "$BASH_SOURCE" -m step'
    job.python(f"mkfifo held; {step} first <held & exec 3>held; echo 0 | {step} second; echo 0 >&3; exec 3>&-; wait")
    done = job.run()
    assert done.stdout.index("<second>") < done.stdout.index("ended with exit code 0")
    assert "<first>" in done.stdout


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_a_step_ends_when_its_caller_is_killed(job: Job, tmp_path: Path, name: signal.Signals) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    program(
        job.inside / "lasting",
        f"#!/bin/bash\ntrap 'kill $!; echo >{ended}; exit' TERM\necho >{begun}\nsleep 50 & wait\n",
    )
    job.python(
        f"srun --x lasting & caller=$!\nuntil [[ -e {begun} ]]; do sleep 0.1; done\n"
        f"kill -{int(name)} $caller; until [[ -e {ended} ]]; do sleep 0.1; done; echo all ended"
    )
    assert "all ended" in job.run().stdout


def test_signals_reach_the_program_in_the_container(job: Job) -> None:
    program(
        job.inside / "python",
        f"#!{sys.executable}\nimport signal, sys\nif sys.argv[1] == '-c': sys.exit()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(3))\nprint('ready', flush=True)\nsignal.pause()\n",
    )
    with subprocess.Popen(
        ["bash", str(SCRIPT)], cwd=job.folder, env=job.environ(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        wait_for(process.stdout.readline, "ready")
        process.send_signal(signal.SIGUSR1)
        assert process.wait(30) == 3


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        ("podman-hpc", ["run --rm", "--network=host", "--env SLURM_*", "--workdir", "--entrypoint="]),
        ("singularity", ["exec --bind"]),
    ],
)
def test_other_runtimes_have_their_options(
    job: Job, fake: Fake, tmp_path: Path, runtime: str, expected: list[str]
) -> None:
    calls = fake(runtime, RUNTIME.replace("{inside}", str(job.inside)))
    job.site(f"CONTAINER={runtime}:image.sif")
    assert job.run().returncode == 5
    assert all(word in calls()[-1] for word in expected)


def test_pyxis_has_the_image_as_options_of_srun(job: Job, fake: Fake, tmp_path: Path) -> None:
    srun = SRUN.replace("{calls}", str(tmp_path / "srun.calls"))
    calls = fake("srun", f'[ "$1" = --help ] && echo " --container-image=..." && exit\nPATH={job.inside}:$PATH\n{srun}')
    job.site("CONTAINER=pyxis:nvcr.io#ray_downloader")
    job.python('echo 0 | srun --mpi=pmix "$BASH_SOURCE" -m step x')
    assert job.run().returncode == 0
    assert any(
        line.startswith("--mpi=pmix --container-image=nvcr.io#ray_downloader --container-mounts=") for line in calls()
    )


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ("CONTAINER=docker:image.sif", "docker is not a runtime that is known; choose apptainer, podman-hpc or pyxis"),
        ("CONTAINER=image.sif", "write <runtime>:<image>, such as apptainer:/images/ray.sif"),
        ("CONTAINER=apptainer:", "write <runtime>:<image>"),
        ("CONTAINER=apptainer:missing.sif", "there is no image missing.sif"),
        ("CONTAINER=podman-hpc:image.sif", "podman-hpc is not a program of"),
        ("CONTAINER=pyxis:image.sif", "this Slurm has no pyxis (srun --help does not list --container-image)"),
    ],
    ids=["unknown", "no runtime", "no image", "missing image", "missing runtime", "no pyxis"],
)
def test_what_is_wrong_with_a_container_is_one_sentence(job: Job, site: str, said: str) -> None:
    job.site(site)
    done = job.run()
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "<-m>" not in done.stdout


def test_an_image_that_cannot_run_the_program_is_named_with_the_reason(job: Job) -> None:
    program(job.inside / "python", "#!/bin/bash\necho 'ModuleNotFoundError: ray' >&2; exit 1\n")
    done = job.run()
    assert done.returncode == 2
    assert "CONTAINER=apptainer:image.sif: python cannot run the program there: ModuleNotFoundError: ray" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
