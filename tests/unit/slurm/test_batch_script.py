"""What the sbatch script does before and after the program, under bash, with a small program in its place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.running import CHECKOUT
from tests.unit.slurm.conftest import Fake

SCRIPT = CHECKOUT / "slurm" / "ray_downloader.sbatch"
#: Stands in for the interpreter: it "imports" what it is asked to, and prints how it was called.
PYTHON = """#!/bin/bash
if [[ $1 == -c ]]; then exit 0; fi
printf '<%s>' "$@"; echo
"""


@dataclass
class Site:
    """A submission folder, a home and an interpreter."""

    folder: Path
    python: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        job = {
            "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_CPUS_PER_NODE": "2(x2)",
            "HOME": str(self.folder / "home"), "RAY_DOWNLOADER_PYTHON": str(self.python), "PATH": os.environ["PATH"],
        }  # fmt: skip
        return {**job, **self.variables}

    def run(self, *arguments: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        return subprocess.run(
            ["bash", str(script), *arguments], cwd=self.folder, env=self.environ(), capture_output=True, text=True,
            check=False, timeout=30,
        )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, fake: Fake) -> Site:
    fake("scontrol", "exit 1")
    folder = tmp_path / "submitted here"
    (folder / "home").mkdir(parents=True)
    return Site(folder, program(tmp_path / "python", PYTHON))


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_all_arguments_reach_the_program_and_its_exit_code_is_the_jobs(site: Site) -> None:
    site.python.write_text(PYTHON + "exit 3\n")
    done = site.run("+experiment=gbif", "path_to_input=a b.txt", "x='[1, 2]'")
    assert "<-m><ray_downloader><+experiment=gbif><path_to_input=a b.txt><x='[1, 2]'><cluster=slurm>" in done.stdout
    assert done.returncode == 3


def test_a_cluster_that_the_user_names_is_kept_and_tools_have_their_module(site: Site) -> None:
    assert (
        "<-m><ray_downloader.tools><tool=resize><cluster=local>"
        in site.run("tools", "tool=resize", "cluster=local").stdout
    )


@pytest.mark.parametrize(
    "line",
    ["set -- changed", "shift", "set -eu", "cd /", "while [ $# -gt 0 ]; do shift; done", "source /dev/null other"],
)
def test_the_sites_file_sees_no_arguments_and_cannot_change_ours(site: Site, line: str) -> None:
    (site.folder / "site.env").write_text(f'echo "arguments: $#[$*]"\n{line}\n')
    done = site.run("path_to_output=out")
    assert "arguments: 0[]" in done.stdout
    assert "<path_to_output=out><cluster=slurm>" in done.stdout
    assert done.returncode == 0


def test_what_the_sites_file_exports_reaches_the_program(site: Site) -> None:
    (site.folder / "site.env").write_text("export OF_SITE=yes\n")
    site.python.write_text(PYTHON + 'echo "of site: $OF_SITE"\n')
    assert "of site: yes" in site.run().stdout


def test_a_syntax_error_in_the_sites_file_ends_the_job_before_it_runs(site: Site) -> None:
    (site.folder / "site.env").write_text("echo begun\nif true; then\n")
    done = site.run("path_to_output=out")
    assert done.returncode == 2
    assert "site.env is not valid shell code: " in done.stderr and "line 3" in done.stderr
    assert "begun" not in done.stdout


def test_a_sites_file_that_exits_does_not_look_like_success(site: Site) -> None:
    (site.folder / "site.env").write_text("exit 0\n")
    done = site.run()
    assert done.returncode == 2
    assert "site.env ended the job with exit" in done.stderr


@pytest.mark.parametrize("name", ["RAY_DOWNLOADER_SITE_ENV", "RAY_DOWNLOADER_PYTHON"])
def test_what_is_named_and_missing_is_an_error_before_anything_starts(site: Site, name: str) -> None:
    (site.folder / "site.env").write_text("echo another was read\n")
    site.variables[name] = "/nowhere/it"
    done = site.run()
    assert done.returncode == 2
    assert f"{name}=/nowhere/it is not a" in done.stderr
    assert "<-m>" not in done.stdout


def test_an_interpreter_named_by_the_sites_file_counts(site: Site) -> None:
    (site.folder / "site.env").write_text("export RAY_DOWNLOADER_PYTHON=/nowhere/python\n")
    done = site.run()
    assert done.returncode == 2
    assert "RAY_DOWNLOADER_PYTHON=/nowhere/python is not a program" in done.stderr


def test_a_named_interpreter_that_cannot_import_it_is_not_replaced_and_its_reason_is_shown(site: Site) -> None:
    site.python.write_text(
        "#!/bin/bash\necho Traceback >&2; echo 'ImportError: libmpi.so.40: cannot open' >&2; exit 1\n"
    )
    done = site.run()
    assert done.returncode == 2
    assert f"{site.python}: ImportError: libmpi.so.40: cannot open" in done.stderr


def test_a_broken_environment_is_skipped_for_one_that_works(site: Site, tmp_path: Path) -> None:
    del site.variables
    broken = tmp_path / "venv" / "bin"
    broken.mkdir(parents=True)
    program(broken / "python", "#!/bin/bash\necho 'ModuleNotFoundError: ray' >&2; exit 1\n")
    program(tmp_path / "bin" / "python", PYTHON)
    site.variables = {"VIRTUAL_ENV": str(broken.parent), "RAY_DOWNLOADER_PYTHON": ""}
    elsewhere = tmp_path / "copy" / "ray_downloader.sbatch"
    elsewhere.parent.mkdir()
    shutil.copy(SCRIPT, elsewhere)
    assert "<-m><ray_downloader>" in site.run(script=elsewhere).stdout
    program(tmp_path / "bin" / "python", "#!/bin/bash\necho 'ModuleNotFoundError: hydra' >&2; exit 1\n")
    shutil.copy(tmp_path / "bin" / "python", tmp_path / "bin" / "python3")
    done = site.run(script=elsewhere)
    assert done.returncode == 2
    assert "venv/bin/python: ModuleNotFoundError: ray\n  python: ModuleNotFoundError: hydra" in done.stderr


def test_the_sites_file_beside_a_script_in_a_folder_with_a_blank_is_read(
    site: Site, tmp_path: Path, fake: Fake
) -> None:
    """Slurm runs a copy, and reports the path of the original together with its arguments; here for an array."""
    beside = tmp_path / "my jobs"
    beside.mkdir()
    (beside / "site.env").write_text("echo the site of the original\n")
    shutil.copy(SCRIPT, beside)
    spool = tmp_path / "spool" / "slurm_script"
    spool.parent.mkdir()
    shutil.copy(SCRIPT, spool)
    lines = [
        "JobId=8 ArrayJobId=7 ArrayTaskId=1 Command=/wrong/one a WorkDir=/",
        f"JobId=7 ArrayJobId=7 ArrayTaskId=2 Command={beside}/ray_downloader.sbatch Command=x WorkDir=/",
    ]
    fake("scontrol", "".join(f"echo '{line}'\n" for line in lines))
    done = site.run("Command=x", script=spool)
    assert "the site of the original" in done.stdout


def test_the_script_explains_what_it_makes_of_tasks_and_cpus(site: Site) -> None:
    assert "one Ray on n[1-2], with all CPUs of the job on each node (2(x2)); more with -c" in site.run().stdout
    site.variables |= {"SLURM_NTASKS": "4", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"}
    words = site.run().stdout
    assert "job 7 (element 3 of array 5), run 1" in words
    assert "(2(x2)); -n 4 and -c 1 only decide how many CPUs those are" in words


def test_no_option_of_the_script_stands_in_the_way_of_tasks_and_cpus() -> None:
    options = [line for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH")]
    assert not [line for line in options if "ntasks" in line or "cpus" in line]


@pytest.mark.parametrize("name", [signal.SIGUSR1, signal.SIGTERM], ids=["USR1", "TERM"])
def test_signals_reach_the_program_whose_exit_code_counts(site: Site, name: signal.Signals) -> None:
    site.python = program(
        site.folder / "program.py",
        f"#!{sys.executable}\nimport signal, sys\n"
        "if sys.argv[1] == '-c': sys.exit()\n"
        f"signal.signal({int(name)}, lambda *_: sys.exit(3))\nprint('ready', flush=True)\nsignal.pause()\n",
    )
    with subprocess.Popen(
        ["bash", str(SCRIPT)], cwd=site.folder, env=site.environ(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        wait_for(process.stdout.readline, "ready")
        process.send_signal(name)
        assert process.wait(30) == 3
        assert "ended with exit code 3" in process.stdout.read()


@pytest.mark.parametrize(
    ("limit_s", "words"), [(60, "draining in 4"), (3600, "draining\n"), (None, "draining\n")],
    ids=["a minute", "an hour", "unlimited"],
)  # fmt: skip
def test_a_job_of_a_minute_works_before_it_drains(site: Site, fake: Fake, limit_s: int | None, words: str) -> None:
    """Its signal, 90 s before the end, comes at the beginning."""
    end = f"$(date -d '+{limit_s} seconds' +%Y-%m-%dT%H:%M:%S)" if limit_s else "Unknown"
    fake("scontrol", f'echo "JobId=7 StartTime=$(date +%Y-%m-%dT%H:%M:%S) EndTime={end} Command=(null)"')
    site.python = program(
        site.folder / "program.py",
        f"#!{sys.executable}\nimport signal, sys\n"
        "if sys.argv[1] == '-c': sys.exit()\nprint('ready', flush=True)\nsignal.pause()\n",
    )
    with subprocess.Popen(
        ["bash", str(SCRIPT)], cwd=site.folder, env=site.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        wait_for(process.stdout.readline, "ready")
        process.send_signal(signal.SIGUSR1)
        assert f"the time limit is near: {words}" in process.stdout.readline()
        process.terminate()


def wait_for(read: Callable[[], str], word: str) -> None:
    while (line := read()) and word not in line:
        pass
    assert word in line
