"""Whole jobs on a real Slurm: sbatch, srun, MPI ranks, a Ray of several nodes, and an origin outside of them."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.log import excess_over_budget
from tests.support.running import RunningOrigin
from tests.support.slurm import TWO_NODES, Job, in_job, submit, within
from tests.support.slurm_runs import (
    DOWNLOAD_ONLY,
    DOWNLOADS,
    arguments,
    assert_nothing_left,
    assert_settled_once,
    requests_of,
    seen_of,
    wait_for_requests,
)
from tests.support.stored import StoredRun, received, row

pytestmark = [pytest.mark.slurm]


def test_three_nodes_share_one_budget_for_each_server(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    job = submit(
        shared_folder,
        *arguments(shared_folder, slurm_origin, "budget", rows=1000, rate_rps=3.0),
        # The servers 1 and 10 to 19 have one budget together. (A server of its own stays on a node, mostly.)
        "politeness.rules=[{server: 'budget-1*.example', group: eleven, rate_rps: 30, burst: 1},"
        "{server: 'budget-[02-9].example', rate_rps: 3, burst: 1}]",
        "politeness.max_rate_limit=30",
        "cluster.task_seconds=4",
    )
    job.wait_for_line(DOWNLOADS)
    tokens = list((shared_folder / "budget").glob(".ray-token-*"))
    assert [oct(path.stat().st_mode & 0o777) for path in tokens] == ["0o600"]
    assert job.wait() == "COMPLETED 0:0", job.log
    assert_settled_once(shared_folder, "budget", rows=1000)
    seen = seen_of(slurm_origin, "budget")
    assert len(seen) == 20
    # On a busy machine arrivals are late by a third of a second; three budgets instead of one would be 100 requests.
    shared = [request for host, requests in seen.items() if host.startswith("budget-1") for request in requests]
    alone = [requests for host, requests in seen.items() if not host.startswith("budget-1")]
    assert max(excess_over_budget(requests, rate_rps=3.0, burst=1) for requests in alone) <= 1.0
    assert excess_over_budget(shared, rate_rps=30.0, burst=1) <= 10.0
    assert len({request.client_host for request in shared}) >= 2, "one budget is drawn on from two nodes"
    assert "6 MPI ranks on 3 nodes" in job.log
    with (shared_folder / "budget" / "profiles.csv").open() as table:
        assert len(list(csv.DictReader(table))) == 20
    assert re.search(r"ssh -N -L \d+:127\.0\.0\.1:\d+", job.log)
    assert_nothing_left(shared_folder, "budget", job, idle_nodes)


def client_in(job: Job, address: str, token_file: Path) -> str:
    """What a client says that joins the job's Ray from one of its nodes."""
    program = "import ray, sys; ray.init(address=sys.argv[1]); print('nodes:', len(ray.nodes()))"
    step = ["srun", f"--jobid={job.number}", "--overlap", "--nodes=1", "--ntasks=1", "--mpi=none"]
    variables = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)}
    done = subprocess.run(
        [*step, sys.executable, "-c", program, address],
        env=variables, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_stranger_is_refused_and_a_job_without_runs_left_says_3(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = arguments(shared_folder, slurm_origin, "last", rows=3000, rate_rps=1.0)
    job = submit(
        shared_folder, *run, DOWNLOAD_ONLY, "downloader_parameters.num_downloads=1", SLURM_RESTART_COUNT="1"
    )  # fmt: skip
    wait_for_requests(slurm_origin, "last", 20)
    address = re.search(r"head listens at (\S+)", job.log)
    assert address
    right = next((shared_folder / "last").glob(".ray-token-*"))
    wrong = shared_folder / "wrong"
    wrong.write_text("0" * 64, "ascii")
    assert "nodes: 3" in client_in(job, address[1], right)
    assert "ConnectionError" in client_in(job, address[1], wrong)
    assert right.exists()
    job.drain()
    assert job.wait() == "FAILED 3:0", job.log
    assert_nothing_left(shared_folder, "last", job, idle_nodes)


def test_a_job_that_is_out_of_time_twice_requeues_itself_and_settles_each_row_once(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = arguments(shared_folder, slurm_origin, "time", rows=600, rate_rps=2.0)
    job = submit(shared_folder, *run, DOWNLOAD_ONLY, "downloader_parameters.num_downloads=2")
    for turn in ("1", "2"):
        wait_for_requests(slurm_origin, "time", 100)
        job.drain()
        within(60, partial(job.has, "Restarts", turn), f"restart {turn}")
    assert job.wait() == "COMPLETED 0:0", job.log
    assert_settled_once(shared_folder, "time", rows=600)
    asked = Counter(request.target for requests in seen_of(slurm_origin, "time").values() for request in requests)
    assert max(asked.values()) == 1, "a drained run loses nothing"


def test_a_worker_node_without_power_costs_its_unfinished_work_only(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], fail_node: Callable[[str], None]
) -> None:
    run = arguments(shared_folder, slurm_origin, "power", rows=600, rate_rps=2.0)
    job = submit(shared_folder, *run, DOWNLOAD_ONLY, "cluster.task_seconds=8")
    job.wait_for_line(DOWNLOADS)
    wait_for_requests(slurm_origin, "power", 100)
    fail_node(idle_nodes[2])
    assert job.wait(150) == "COMPLETED 0:0", job.log
    assert job.field("Restarts") == "0"
    assert f"is dead or unavailable ({idle_nodes[2]})" in job.log
    assert_settled_once(shared_folder, "power", rows=600)
    assert_nothing_left(shared_folder, "power", job, idle_nodes[:2])


@pytest.mark.slurm_soak
def test_a_lost_first_node_is_named_and_the_job_continues_on_others(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], fail_node: Callable[[str], None]
) -> None:
    run = [*arguments(shared_folder, slurm_origin, "head", rows=600, rate_rps=2.0), DOWNLOAD_ONLY]
    job = submit(shared_folder, *run, options=TWO_NODES)
    wait_for_requests(slurm_origin, "head", 100)
    head = job.field("BatchHost")
    fail_node(head)
    asked = requests_of(slurm_origin, "head")
    assert job.wait(240) == "COMPLETED 0:0", job.log
    assert f"{head}, the node of the batch script and of Ray's head, is lost" in job.log
    assert "and it is requeued" in job.log
    assert job.has("Restarts", "1")
    assert_settled_once(shared_folder, "head", rows=600)
    assert requests_of(slurm_origin, "head") - 600 < asked, "what was settled is not asked again"
    assert_nothing_left(shared_folder, "head", job, [node for node in idle_nodes if node != head])


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.slurm_soak)], ids=["once", "twice"])
def test_rays_dead_head_is_seen_at_once_and_ray_starts_once_more(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str], kills: int
) -> None:
    run = [*arguments(shared_folder, slurm_origin, "ray", rows=600 * kills, rate_rps=2.0), DOWNLOAD_ONLY]
    job = submit(shared_folder, *run, "downloader_parameters.num_downloads=1", options=TWO_NODES)
    for kill in range(1, kills + 1):
        job.wait_for_line("(?s)" + ".*".join(["Ray: 2 nodes"] * kill))
        wait_for_requests(slurm_origin, "ray", 100)
        kill_head_of(job)
        killed_at_s = time.monotonic()
        within(10, partial(has_told_deaths, job, kill), "the sentence about the end of Ray")
        print(f"told {time.monotonic() - killed_at_s:.1f} s after the kill")  # noqa: T201 (for the record)
    job.wait_for_line("Ray is started once more")
    if kills > 1:
        within(90, partial(job.has, "Restarts", "1"), "the second loss requeues the job")
    assert job.wait(200) == "COMPLETED 0:0", job.log
    assert job.field("Restarts") == str(kills - 1)
    assert_settled_once(shared_folder, "ray", rows=600 * kills)
    assert_nothing_left(shared_folder, "ray", job, idle_nodes)


def has_told_deaths(job: Job, count: int) -> bool:
    """Whether the log has said so often what killed Ray's head."""
    sentence = r"the job has lost its Ray: Ray died: its gcs_server on \S+ was killed by SIGKILL \(memory"
    return len(re.findall(sentence, job.log)) == count


def kill_head_of(job: Job) -> None:
    """End Ray's head process as the kernel does when memory runs out."""
    in_job(job, job.field("BatchHost"), "pkill", "-KILL", "-f", f"gcs_server.*[r]d-{job.number}-")


def test_a_cancelled_job_leaves_nothing_behind_but_what_it_settled(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = [*arguments(shared_folder, slurm_origin, "cancel", rows=400, rate_rps=2.0), DOWNLOAD_ONLY]
    job = submit(shared_folder, *run)
    job.wait_for_line(DOWNLOADS)
    wait_for_requests(slurm_origin, "cancel", 100)
    job.cancel()
    assert job.wait().startswith("CANCELLED")
    assert_nothing_left(shared_folder, "cancel", job, idle_nodes)
    asked = requests_of(slurm_origin, "cancel")
    again = submit(
        shared_folder, *run, "downloader_parameters.max_nodes=2", "downloader_parameters.workers_per_node=1"
    )  # fmt: skip
    assert again.wait() == "COMPLETED 0:0", again.log
    assert "Ray: 2 nodes, 2 tasks at once" in again.log
    assert_settled_once(shared_folder, "cancel", rows=400)
    assert requests_of(slurm_origin, "cancel") - 400 < asked, "what was settled is not asked again"


def test_a_tool_runs_through_the_same_script(shared_folder: Path, idle_nodes: list[str]) -> None:
    run = StoredRun(shared_folder / "stored")
    for number in range(20):
        run.add([row(f"{number}-{n}", received(n)) for n in range(10)], f"s{number}.example")
    job = submit(
        shared_folder, "tools", "tool=resize", "path_to_output=stored", "tools_parameters.new_resize_size=32",
        "tools_parameters.apply=true",
    )  # fmt: skip
    assert job.wait() == "COMPLETED 0:0", job.log
    assert {tuple(image["resized_size"]) for image in run.images().values()} == {(24, 32)}
    assert "head listens" in job.log, "on a Ray of the job's nodes"
    assert_nothing_left(shared_folder, "stored", job, idle_nodes)


def test_two_jobs_on_the_same_nodes_do_not_hurt_each_other(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    options = ("--nodes=2", "--cpus-per-task=1", f"--nodelist={','.join(idle_nodes[:2])}")
    jobs = {}
    for name, rows in (("first", 100), ("second", 300)):
        run = arguments(shared_folder, slurm_origin, name, rows=rows, rate_rps=1.0)
        jobs[name] = submit(shared_folder, *run, DOWNLOAD_ONLY, options=options)
    for name, rows in (("first", 100), ("second", 300)):
        assert jobs[name].wait() == "COMPLETED 0:0", jobs[name].log
        assert_settled_once(shared_folder, name, rows)
        assert_nothing_left(shared_folder, name, jobs[name], idle_nodes[:2])
    assert jobs["first"].field("EndTime") < jobs["second"].field("EndTime")


def test_a_ray_that_cannot_start_ends_the_job_with_the_reason(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = arguments(shared_folder, slurm_origin, "start", rows=40, rate_rps=2.0)
    job = submit(shared_folder, *run, DOWNLOAD_ONLY, "cluster.scratch=/proc/none", "cluster.start_timeout_s=20")
    assert job.wait() == "FAILED 1:0", job.log
    assert "/proc/none" in job.log, "the nodes' own words"
    assert "Traceback" not in job.log.partition("the last lines of")[0]


def test_ranks_that_are_no_world_fail_the_job_with_a_sentence(
    shared_folder: Path, slurm_origin: RunningOrigin, idle_nodes: list[str]
) -> None:
    run = arguments(shared_folder, slurm_origin, "world", rows=400, rate_rps=2.0)
    job = submit(shared_folder, *run, RAY_DOWNLOADER_MPI_PLUGIN="none")
    assert job.wait() == "FAILED 1:0", job.log
    assert "MPI sees a world of 1" in job.log
    assert not slurm_origin.seen("world-0.example")


def test_each_mistake_fails_its_job_with_2_and_a_sentence(shared_folder: Path, idle_nodes: list[str]) -> None:
    (shared_folder / "list.txt").write_text("http://a.example/1.jpg\n")
    (shared_folder / "broken.env").write_text("if true; then\n")
    run, one_node = ("path_to_input=list.txt", "politeness.contact=tests@example.org"), ("--nodes=1", "--ntasks=1")
    mistakes = {
        "none.txt": submit(shared_folder, "path_to_input=none.txt", "path_to_output=out-0", options=one_node),
        "60 MB of memory": submit(shared_folder, *run, "path_to_output=out-1", options=(*one_node, "--mem=60M")),
        "is too long: Ray's sockets": submit(
            shared_folder, *run, "path_to_output=out-2", f"cluster.scratch=/tmp/{'x' * 80}", options=one_node
        ),
        "RAY_DOWNLOADER_SITE_ENV=/none is not a file": submit(
            shared_folder, *run, "path_to_output=out-3", options=one_node, RAY_DOWNLOADER_SITE_ENV="/none"
        ),
        "broken.env is not valid shell code": submit(
            shared_folder, *run, "path_to_output=out-4", options=one_node, RAY_DOWNLOADER_SITE_ENV="broken.env"
        ),
    }
    for words, job in mistakes.items():
        assert job.wait() == "FAILED 2:0", job.log
        assert words in job.log
        assert not re.search("Traceback|rows on|head listens", job.log), "nothing was begun"
