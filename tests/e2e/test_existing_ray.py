"""`cluster=existing`: runs join a Ray that somebody else started, two of them at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.job import ENVIRONMENT, RunFolder, as_override, command, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]

SOMEBODYS_RAY = """
import ray, sys
ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=80 * 2**20)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class ExistingRay:
    """A Ray that asks for a token."""

    address: str
    token_file: Path
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def existing_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExistingRay]:
    token_file = tmp_path_factory.mktemp("ray") / "token"
    token_file.write_text("5" * 64, "ascii")
    token_file.chmod(0o600)
    variables = {**ENVIRONMENT, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)}
    with subprocess.Popen(
        [sys.executable, "-c", SOMEBODYS_RAY], env=variables, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout
        yield ExistingRay(process.stdout.readline().strip(), token_file, process)
        process.stdin.close()


def arguments(folder: Path, name: str, ray: ExistingRay, token_file: Path, origin: RunningOrigin) -> list[str]:
    listing = folder / f"{name}.txt"
    listing.write_text("".join(f"http://{name}-{n % 4}.example/photo/{n}.jpg\n" for n in range(80)), "utf-8")
    return [
        f"path_to_input={listing}", f"path_to_output={folder / name}", "stages=[partition,download]",
        "cluster=existing", f"cluster.address={ray.address}", f"cluster.token_file={token_file}",
        "downloader_parameters.default_rate_limit=20", as_override("network.connect_to", origin.connect_to),
    ]  # fmt: skip


def test_two_runs_share_one_ray_and_leave_it_running(
    tmp_path: Path, existing_ray: ExistingRay, origin: RunningOrigin
) -> None:
    runs = {
        name: subprocess.Popen(
            command(*arguments(tmp_path, name, existing_ray, existing_ray.token_file, origin)),
            cwd=tmp_path, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE,
        )
        for name in ("one", "two")
    }  # fmt: skip
    for name, run in runs.items():
        _, messages = run.communicate(timeout=120)
        assert run.returncode == 0, messages
        out = RunFolder(tmp_path / name)
        assert out.summary["rows"] == {"input": 80, "rejected": 0, "successes": 80, "errors": 0}
        assert set(out.settled_uuids().values()) == {1}
    assert existing_ray.process.poll() is None


def test_the_wrong_token_is_one_sentence(tmp_path: Path, existing_ray: ExistingRay, origin: RunningOrigin) -> None:
    wrong = tmp_path / "wrong"
    descriptor = os.open(wrong, os.O_CREAT | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("6" * 64)
    done = run_program(*arguments(tmp_path, "out", existing_ray, wrong, origin), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "cluster.token_file" in done.stderr
    assert "Traceback" not in done.stderr
