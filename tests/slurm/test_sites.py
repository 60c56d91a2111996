"""Sites and jobs where something is missing: an environment, a lock, a shared disk, space, time, an answer of Slurm.

They take a minute each, so they run in `make slurm-soak`. What they change on nodes is in each node's own `/dev/shm`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.job import RunFolder
from tests.support.running import RunningOrigin
from tests.support.slurm import THREE_NODES, TWO_NODES, in_job, on_nodes, submit, within
from tests.support.slurm_runs import (
    DOWNLOAD_ONLY,
    DOWNLOADS,
    arguments,
    assert_nothing_left,
    assert_settled_once,
    requests_of,
    wait_for_requests,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slurm_soak]

ONE_NODE = ("--nodes=1", "--cpus-per-task=2")


@pytest.fixture
def own_place(idle_nodes: list[str]) -> Iterator[str]:
    """A path that is another place on each node, where nothing is yet."""
    path = f"/dev/shm/site-{os.getpid()}"
    yield path
    on_nodes(idle_nodes, "rm", "-rf", path)


@pytest.fixture
def rename(idle_nodes: list[str]) -> Iterator[Callable[[bool], None]]:
    """Gives the names of nodes IPv6 addresses in their `/etc/hosts`, before or instead of the others."""
    if os.geteuid():
        pytest.skip("only root may change what the names of nodes mean")
    hosts = on_nodes(idle_nodes[:1], "cat", "/etc/hosts")
    added = [f"fd77::{number} {node}\n" for number, node in enumerate(idle_nodes, 1)]

    def write(content: str) -> None:
        on_nodes(idle_nodes, "sh", "-c", 'printf "%s" "$0" >/etc/hosts', content)

    def rename(instead: bool) -> None:
        kept = [line for line in hosts.splitlines(keepends=True) if not (instead and set(line.split()) & {*idle_nodes})]
        for address, node in (line.split() for line in added):
            on_nodes([node], "sh", "-c", f"ip -6 addr add {address}/64 dev eth0 nodad 2>/dev/null || true")
        write("".join((*added, *kept)))

    yield rename
    write(hosts)


@pytest.mark.parametrize("instead", [False, True], ids=["IPv6 first", "IPv6 only"])
def test_names_of_nodes_may_mean_ipv6_addresses(
    shared_folder: Path, slurm_origin: RunningOrigin, rename: Callable[[bool], None], instead: bool
) -> None:
    rename(instead)
    job = submit(shared_folder, *arguments(shared_folder, slurm_origin, "ipv6", rows=100, rate_rps=3.0))
    assert job.wait() == "COMPLETED 0:0", job.log
    assert "Ray: 3 nodes" in job.log
    assert ("head listens at [fd77::" in job.log) == instead
    assert_settled_once(shared_folder, "ipv6", rows=100)


def test_a_node_without_the_environment_is_left_out_with_the_reason(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], own_place: str
) -> None:
    """Of this interpreter's environment there is a copy whose interpreter is there on two nodes only."""
    environment = shared_folder / "env"
    (environment / "bin").mkdir(parents=True)
    for name in ("lib", "include"):
        (environment / name).symlink_to(Path(sys.prefix, name))
    (environment / "pyvenv.cfg").write_text(Path(sys.prefix, "pyvenv.cfg").read_text())
    (environment / "bin" / "python").symlink_to(own_place)
    on_nodes(idle_nodes[:2], "ln", "-s", str(Path(sys.executable).resolve()), own_place)
    run = arguments(shared_folder, slurm_origin, "missing", rows=400, rate_rps=2.0)
    job = submit(shared_folder, *run, RAY_DOWNLOADER_PYTHON=str(environment / "bin" / "python"))
    assert job.wait() == "COMPLETED 0:0", job.log
    assert f"node {idle_nodes[2]} cannot be used, the job goes on without it: " in job.log
    assert "No such file or directory" in job.log
    assert "4 MPI ranks on 2 nodes" in job.log
    assert "Ray: 2 nodes" in job.log
    assert_settled_once(shared_folder, "missing", rows=400)


def test_a_node_that_cannot_run_ray_is_named_and_the_others_go_on(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], own_place: str
) -> None:
    """The scratch folder of one node is a file."""
    on_nodes(idle_nodes[1:2], "touch", own_place)
    run = arguments(shared_folder, slurm_origin, "scratch", rows=100, rate_rps=2.0)
    options = (*TWO_NODES, f"--nodelist={','.join(idle_nodes[:2])}")
    job = submit(shared_folder, *run, DOWNLOAD_ONLY, f"cluster.scratch={own_place}", options=options)
    assert job.wait() == "COMPLETED 0:0", job.log
    assert "only 1 of 2 nodes joined, the run goes on with them: " in job.log
    assert f"{idle_nodes[1]}: Ray cannot run here: " in job.log
    assert own_place in job.log
    assert "Ray: 1 nodes" in job.log
    assert_settled_once(shared_folder, "scratch", rows=100)
    assert_nothing_left(shared_folder, "scratch", job, idle_nodes)


def test_a_folder_that_is_another_one_on_each_node_is_refused_before_any_work(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], own_place: str
) -> None:
    run = arguments(shared_folder, slurm_origin, "local", rows=40, rate_rps=2.0)
    job = submit(shared_folder, *run, f"path_to_output={own_place}", options=TWO_NODES)
    assert job.wait() == "FAILED 2:0", job.log
    assert f"path_to_output={own_place} is not shared by the nodes of the job: " in job.log
    assert not requests_of(slurm_origin, "local")


#: What a file system without locks says, for the run folder only.
NO_LOCKS = """\
import errno, fcntl, os
real = fcntl.flock
def flock(descriptor, operation):
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    if "/unlocked/" in os.readlink(f"/proc/self/fd/{number}"):
        raise OSError(errno.ENOSYS, "Function not implemented")
    return real(descriptor, operation)
fcntl.flock = flock
"""


def test_without_locks_a_folder_has_one_run_and_after_a_kill_another_node_continues(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    (shared_folder / "patch").mkdir()
    (shared_folder / "patch" / "sitecustomize.py").write_text(NO_LOCKS)
    path = os.pathsep.join([str(shared_folder / "patch"), os.environ.get("PYTHONPATH", "")])
    run = [*arguments(shared_folder, slurm_origin, "unlocked", rows=400, rate_rps=1.0), DOWNLOAD_ONLY]
    first, second = ((*ONE_NODE, f"--nodelist={node}") for node in idle_nodes[:2])
    job = submit(shared_folder, *run, options=first, PYTHONPATH=path)
    wait_for_requests(slurm_origin, "unlocked", 60)
    beside = submit(shared_folder, *run, options=second, PYTHONPATH=path)
    assert beside.wait() == "FAILED 4:0", beside.log
    assert f"on {idle_nodes[0]}, job {job.number}" in beside.log
    in_job(job, idle_nodes[0], "pkill", "-KILL", "-f", "ray_downloader .*[p]ath_to_output=unlocked ")
    assert job.wait().startswith("FAILED"), job.log
    asked = requests_of(slurm_origin, "unlocked")
    after = submit(shared_folder, *run, options=second, PYTHONPATH=path)
    assert after.wait() == "COMPLETED 0:0", after.log
    assert f"on {idle_nodes[0]}, job {job.number} has not renewed it for 20 s and is gone" in after.log
    assert_settled_once(shared_folder, "unlocked", rows=400)
    assert requests_of(slurm_origin, "unlocked") - 400 < asked / 2, "what was settled is not asked again"


@contextmanager
def small_disk(node: str, folder: Path) -> Iterator[Callable[[str], None]]:
    """A file system of its own in a folder of one node, where this user may mount one; its size can be set."""
    folder.mkdir()
    try:
        on_nodes([node], "mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", str(folder))
    except subprocess.CalledProcessError:
        pytest.skip("this user may not mount a file system on a node")
    yield lambda size: on_nodes([node], "mount", "-o", f"remount,size={size}", str(folder)) and None
    on_nodes([node], "umount", str(folder))


def test_a_full_output_disk_is_one_sentence_and_with_room_again_the_same_command_continues(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    node, disk = idle_nodes[0], shared_folder / "disk"
    run = arguments(shared_folder, slurm_origin, "full", rows=300, rate_rps=20.0)
    run += [f"path_to_output={disk / 'out'}", DOWNLOAD_ONLY]
    options = (*ONE_NODE, f"--nodelist={node}")
    with small_disk(node, disk) as resize:
        partitioned = submit(shared_folder, *run, "stages=[partition]", options=options)
        assert partitioned.wait() == "COMPLETED 0:0", partitioned.log
        used = int(on_nodes([node], "df", "--output=used", str(disk)).split()[1])
        resize(f"{used + 500}k")
        job = submit(shared_folder, *run, options=options)
        assert job.wait() == "FAILED 1:0", job.log
        assert "no space or no inodes are left" in job.log
        assert "the same command continues" in job.log
        assert "Traceback" not in job.log
        assert 0 < requests_of(slurm_origin, "full") < 300
        resize("200m")
        again = submit(shared_folder, *run, options=options)
        assert again.wait() == "COMPLETED 0:0", again.log
        on_nodes([node], "cp", "-r", str(disk / "out"), str(shared_folder / "full"))
    rows = RunFolder(shared_folder / "full")
    assert rows.summary["rows"] == {"input": 300, "rejected": 0, "successes": 300, "errors": 0}
    assert rows.settled_uuids().total() == len(rows.settled_uuids()) == 300


def test_a_controller_that_is_silent_while_a_job_drains_requeues_it_later(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    controller = subprocess.run(["pgrep", "-x", "slurmctld"], capture_output=True, text=True, check=False).stdout
    if not controller:
        pytest.skip("the controller runs on another machine")
    run = [*arguments(shared_folder, slurm_origin, "silent", rows=600, rate_rps=1.0), DOWNLOAD_ONLY]
    job = submit(shared_folder, *run, options=TWO_NODES)
    wait_for_requests(slurm_origin, "silent", 100)
    log = Path(job.field("StdOut"))
    job.drain()
    within(60, lambda: "finishing requests in flight" in log.read_text(), "the drain")
    pid = int(controller.split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(15)  # for so long it is silent
    finally:
        os.kill(pid, signal.SIGCONT)
    within(120, lambda: job.has("Restarts", "1"), "the restart")
    assert job.wait() == "COMPLETED 0:0", job.log
    assert_settled_once(shared_folder, "silent", rows=600)
    assert requests_of(slurm_origin, "silent") == 600


def test_a_job_of_one_minute_gets_images_in_each_run(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    """20 servers at 1 request a second need 40 s, and a run of a minute has 15 to 30 s after its start."""
    run = arguments(shared_folder, slurm_origin, "minute", rows=800, rate_rps=1.0)
    job = submit(shared_folder, *run, "downloader_parameters.num_downloads=5", options=("--time=1", *TWO_NODES))
    assert job.wait(500) == "COMPLETED 0:0", job.log
    assert "the time limit is near: draining in " in job.log
    assert int(job.field("Restarts")) in range(1, 6)
    assert_settled_once(shared_folder, "minute", rows=800)
    assert requests_of(slurm_origin, "minute") == 800 + 20 * 5, "with the samples of the profile"


def test_a_suspended_job_goes_on_and_one_that_is_requeued_from_outside_continues(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = [*arguments(shared_folder, slurm_origin, "outside", rows=1200, rate_rps=1.0), DOWNLOAD_ONLY]
    job = submit(shared_folder, *run, options=TWO_NODES)
    wait_for_requests(slurm_origin, "outside", 60)
    subprocess.run(["scontrol", "suspend", job.number], check=True)
    before = requests_of(slurm_origin, "outside")
    time.sleep(20)  # for so long it is suspended
    assert requests_of(slurm_origin, "outside") - before <= 40
    subprocess.run(["scontrol", "resume", job.number], check=True)
    wait_for_requests(slurm_origin, "outside", 200)
    subprocess.run(["scontrol", "requeue", job.number], check=True)
    assert job.wait() == "COMPLETED 0:0", job.log
    assert job.field("Restarts") == "1"
    assert_settled_once(shared_folder, "outside", rows=1200)
    assert requests_of(slurm_origin, "outside") <= 1200 + 100
    assert_nothing_left(shared_folder, "outside", job, idle_nodes)


def test_what_a_lost_node_kept_is_removed_by_the_next_job_on_it(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], fail_node: Callable[[str], None],
    boot_node: Callable[[str], None],
) -> None:  # fmt: skip
    run = [*arguments(shared_folder, slurm_origin, "left", rows=300, rate_rps=2.0), DOWNLOAD_ONLY]
    job = submit(shared_folder, *run)
    job.wait_for_line(DOWNLOADS)
    wait_for_requests(slurm_origin, "left", 60)
    lost = idle_nodes[2]
    fail_node(lost)
    assert job.wait() == "COMPLETED 0:0", job.log
    boot_node(lost)
    run = [*arguments(shared_folder, slurm_origin, "next", rows=40, rate_rps=2.0), DOWNLOAD_ONLY]
    following = submit(shared_folder, *run, options=(*THREE_NODES, "--exclusive"))
    assert following.wait() == "COMPLETED 0:0", following.log
    assert on_nodes(idle_nodes, "sh", "-c", "ls -d /tmp/rd-*-* 2>/dev/null || true") == ""
    assert not list(shared_folder.glob("*/.ray-token-*"))
