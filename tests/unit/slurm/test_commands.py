"""The command lines of the steps, as Slurm and Ray get them."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.slurm.allocation import Allocation, Node
from ray_downloader.slurm.commands import (
    NodePlan,
    check_step,
    profile_step,
    ray_start,
    ray_step,
    scratch_of,
    ssh_line,
    step_environment,
)

PLAN = NodePlan(
    head=0,
    head_address="10.0.0.1:20002",
    client_port=20003,
    names=("n1", "n3"),
    cpus=(2, 4),
    memory_mb=(1000, None),
    scratch="/tmp",
    dashboard_port=8265,
    start_timeout_s=90.0,
    interface="ib0",
)
SETTINGS = Path("/run/settings.json")


def job(*cpus: int) -> Allocation:
    return Allocation(1, tuple(Node(f"n{number}", count) for number, count in enumerate(cpus, start=1)))


def test_the_profile_takes_a_rank_for_each_cpu_beside_any_other_step() -> None:
    command = profile_step(job(2, 2, 2), "pmix", SETTINGS)
    assert command[0] == "srun"
    assert {"--mpi=pmix", "--nodes=3", "--nodelist=n1,n2,n3", "--ntasks=6", "--ntasks-per-node=2"} <= set(command)
    assert {"--cpus-per-task=1", "--overlap"} <= set(command)
    assert command[-3:] == ["-m", "ray_downloader.profile", str(SETTINGS)]


def test_unlike_nodes_leave_the_spread_of_ranks_to_slurm() -> None:
    command = profile_step(job(2, 8), "pmi2", SETTINGS)
    assert "--ntasks=10" in command
    assert not [option for option in command if option.startswith("--ntasks-per-node")]


def test_the_ray_step_is_one_task_per_node_and_may_lose_nodes() -> None:
    command = ray_step(PLAN, Path("/run/logs/node-%t.log"))
    assert {"--nodes=2", "--nodelist=n1,n3", "--ntasks=2", "--ntasks-per-node=1", "--overlap"} <= set(command)
    assert {"--no-kill", "--wait=0", "--kill-on-bad-exit=0"} <= set(command)
    assert NodePlan.from_json(command[-1]) == PLAN


def test_the_check_may_lose_nodes_too_and_overlaps() -> None:
    command = check_step(("n1", "n2"), Path("/run/.shared"), "secret")
    assert {"--nodes=2", "--nodelist=n1,n2", "--ntasks=2", "--overlap", "--no-kill"} <= set(command)
    assert command[-2:] == ["/run/.shared", "secret"]


def test_the_drivers_node_is_the_head_and_shows_its_dashboard_to_itself_only() -> None:
    command = ray_start(PLAN, 0, "10.0.0.1", Path("/tmp/rd"), 2**20)
    assert {"--head", "--port=20002", "--ray-client-server-port=20003", "--num-cpus=2"} <= set(command)
    assert {"--dashboard-host=127.0.0.1", "--dashboard-port=8265", f"--memory={999 * 2**20}"} <= set(command)


def test_the_others_join_the_head_with_what_is_theirs() -> None:
    command = ray_start(PLAN, 1, "10.0.0.2", Path("/tmp/rd"), 2**20)
    assert {"--address=10.0.0.1:20002", "--node-ip-address=10.0.0.2", "--num-cpus=4"} <= set(command)
    assert not {"--head", "--dashboard-port=8265"} & set(command)
    assert not [option for option in command if option.startswith("--memory")]


def test_a_step_inherits_neither_the_shape_of_script_or_step_nor_another_ray() -> None:
    environ = {
        "SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "n1", "HOME": "/h", "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_NTASKS": "3", "SLURM_CPUS_PER_TASK": "2", "SLURM_NTASKS_PER_NODE": "1", "RAY_ADDRESS": "auto",
        "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "n1", "SLURM_CPU_BIND_TYPE": "mask_cpu:", "SLURM_EXACT": "1",
        "SLURM_MEM_BIND": "local", "SLURM_HINT": "nomultithread", "SLURM_LABELIO": "1",
    }  # fmt: skip
    kept = {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "HOME", "SLURM_CONF"}
    assert step_environment(environ) == {name: environ[name] for name in kept}


def test_rays_folder_names_the_job_and_the_node() -> None:
    assert scratch_of("/local/scratch/", 12, 3) == "/local/scratch/rd-12-3"


def test_the_way_to_the_dashboard_leads_over_the_login_node() -> None:
    assert ssh_line("127.0.0.1:8266", "node7", "login1") == "ssh -N -L 8266:127.0.0.1:8266 -J login1 node7"
    assert ssh_line("127.0.0.1:8265", "node7", None) == "ssh -N -L 8265:127.0.0.1:8265 node7"
