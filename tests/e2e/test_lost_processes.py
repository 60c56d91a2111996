"""Single processes of a run are killed: a worker, then Ray's own process on this machine, twice."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.soak.processes import of_run, role_of
from tests.support.job import ENVIRONMENT, RunFolder, as_override, command, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]

ROWS, SERVERS = 1200, 8


def test_what_is_killed_costs_what_was_in_flight_and_ray_is_started_once_more(
    tmp_path: Path, origin: RunningOrigin
) -> None:
    urls = [f"http://lost-{n % SERVERS}.example/photo/{n}.jpg" for n in range(ROWS)]
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n")
    out = RunFolder(tmp_path / "out")
    arguments = (
        f"path_to_input={tmp_path / 'list.txt'}", f"path_to_output={out.root}", "stages=[partition,download]",
        "downloader_parameters.default_rate_limit=4", "downloader_parameters.rate_multiplier=0",
        "politeness.robots=ignore", "politeness.max_connections=1", "cluster.num_cpus=2",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    log = tmp_path / "log"

    def asked() -> dict[str, int]:
        hosts = [request.host for request in origin.files_seen()]
        return {host: hosts.count(host) for host in set(hosts)}

    def goes_on_everywhere(count: int = 8) -> None:
        """Until each server has got further requests."""
        before = asked()
        wait_for(lambda: all(asked().get(f"lost-{n}.example", 0) >= before.get(f"lost-{n}.example", 0) + count
                             for n in range(SERVERS)))  # fmt: skip

    with log.open("wb") as file, subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stdout=file, stderr=file
    ) as driver:  # fmt: skip
        goes_on_everywhere()
        kill(driver, lambda role, _: role == "worker")
        goes_on_everywhere()
        kill(driver, lambda _, title: "/raylet/raylet" in title)
        wait_for(lambda: "Ray is started once more" in log.read_text())
        goes_on_everywhere()
        kill(driver, lambda _, title: "/raylet/raylet" in title)
        assert driver.wait(90) == 3, log.read_text()
    said = log.read_text()
    assert "Traceback" not in said
    assert re.findall(r"its raylet on \S+ was killed by SIGKILL \(memory .*\); (.*)", said) == [
        "Ray is started once more", "the run stops, and the same command continues it",
    ], said  # fmt: skip
    assert said.count("a worker task died") == 1, "of the worker that was killed"
    assert "\x1b" not in said
    asked_before = sum(asked().values())
    assert asked_before < ROWS
    done = run_program(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert out.summary["rows"] == {"input": ROWS, "rejected": 0, "successes": ROWS, "errors": 0}
    assert out.settled_uuids().total() == len(out.settled_uuids()) == ROWS
    again = sum(asked().values()) - ROWS
    assert again <= 3 * (2 * SERVERS + 32), f"{again} of {ROWS} were asked for again"


#: Of Ray's client, which ends the process if the raylet is gone while it joins it.
CLIENT_WORDS = "Failed to (?:register worker to Raylet|get the system config from raylet because it is dead)"


@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_a_process_that_is_killed_while_ray_starts_is_one_sentence(
    tmp_path: Path, origin: RunningOrigin, name: str
) -> None:
    (tmp_path / "list.txt").write_text("http://lost.example/photo.jpg\n")
    arguments = (
        f"path_to_input={tmp_path / 'list.txt'}", f"path_to_output={tmp_path / 'out'}", "stages=[partition,download]",
        "politeness.robots=ignore", as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    with subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as driver:
        wait_for(lambda: any(one.name() == name for one in of_run(driver)))
        kill(driver, lambda _, title: f"/{name}" in title.split(" ")[0])
        said = driver.communicate(timeout=120)[0].decode()
    # What is known of the death, and when, depends on the call that was under way.
    killed = rf"its {name} on \S+ was killed by SIGKILL \(memory .*\); "
    sentence = {
        0: killed + "Ray is started once more",
        1: "Ray did not start on this machine: .*; the same command tries again|" + CLIENT_WORDS,
        3: killed + "the run stops, and the same command continues it",
    }[driver.returncode]
    assert len(re.findall(sentence, said)) == 1, said
    assert "Traceback" not in said


def wait_for(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.1)


def kill(driver: subprocess.Popen[bytes], wanted: Callable[[str, str], bool]) -> None:
    """SIGKILL to the first process of the run that is wanted, by its role and title."""
    found = [one for one in of_run(driver) if wanted(role_of(one, driver.pid), " ".join(one.cmdline()))]
    assert found, [" ".join(one.cmdline())[:80] for one in of_run(driver)]
    found[0].kill()
    psutil.wait_procs(found[:1], timeout=30)
