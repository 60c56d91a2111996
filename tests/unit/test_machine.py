"""What a process may use of its machine, read from a copy of `/proc` and `/sys`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from ray_downloader.machine import (
    CgroupLimits,
    cgroup_limits,
    cpus_within,
    refuse_windows,
    slurm_memory_bytes,
    usable_cpus,
    usable_memory_bytes,
    with_home,
)

VERSION_2 = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
VERSION_1 = """\
30 20 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
31 20 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"""


def machine(root: Path, mounts: str, cgroup: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/mountinfo": mounts, "proc/self/cgroup": cgroup, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", "utf-8")
    return root


def test_limits_of_version_2_are_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    top = "sys/fs/cgroup/slurm/job_7"
    files = {
        f"{top}/memory.max": "2147483648", f"{top}/cpu.max": "max 100000",
        f"{top}/step_0/memory.max": "max", f"{top}/step_0/cpu.max": "250000 100000",
    }  # fmt: skip
    root = machine(tmp_path, VERSION_2, "0::/slurm/job_7/step_0", files)
    assert cgroup_limits(root) == CgroupLimits(cpus=2.5, memory_bytes=2 << 30)


def test_limits_of_version_1_are_read_in_the_hierarchy_of_their_controller(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "150000",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "50000",
        "sys/fs/cgroup/memory/b/memory.limit_in_bytes": "1073741824",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    }
    root = machine(tmp_path, VERSION_1, "4:cpu,cpuacct:/a\n3:memory:/b", files)
    assert cgroup_limits(root) == CgroupLimits(cpus=3.0, memory_bytes=1 << 30)


@pytest.mark.parametrize(
    ("top", "path"), [("/docker/abc", "/docker/abc"), ("/", "/docker/abc"), ("/", "/")],
    ids=["host path", "foreign path", "namespace"],
)  # fmt: skip
def test_a_container_sees_its_limits_at_the_mount_point(tmp_path: Path, top: str, path: str) -> None:
    mounts = f"30 20 0:26 {top} /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    files = {"sys/fs/cgroup/memory.max": "1048576", "sys/fs/cgroup/cpu.max": "100000 100000"}
    assert cgroup_limits(machine(tmp_path, mounts, f"0::{path}", files)) == CgroupLimits(1.0, 1 << 20)


@pytest.mark.parametrize("quota", ["-1", "0", "max"])
def test_no_quota_is_no_limit(tmp_path: Path, quota: str) -> None:
    folder = "sys/fs/cgroup/cpu,cpuacct"
    files = {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "100000"}
    assert cgroup_limits(machine(tmp_path, VERSION_1, "4:cpu,cpuacct:/", files)).cpus is None


def test_a_system_without_cgroups_has_no_limits(tmp_path: Path) -> None:
    assert cgroup_limits(tmp_path) == CgroupLimits()
    assert usable_cpus({}, tmp_path) == len(os.sched_getaffinity(0))
    assert usable_memory_bytes({"SLURM_CPUS_ON_NODE": "1", "SLURM_MEM_PER_NODE": "64"}, tmp_path) == 64 << 20


@pytest.mark.parametrize(
    ("affinity", "quota", "of_job", "expected"),
    [(128, None, "1", 1), (128, 2.5, "", 2), (1, 8.0, "4", 1), (4, 0.5, "", 1), (4, None, "", 4), (2, None, "8", 2)],
)
def test_the_tightest_limit_of_cpus_counts(affinity: int, quota: float | None, of_job: str, expected: int) -> None:
    assert cpus_within(affinity, quota, {"SLURM_CPUS_ON_NODE": of_job}) == expected


@pytest.mark.parametrize(
    ("environ", "expected_mb"),
    [
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "512"}, 512),
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "100"}, 400),
        ({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_CPUS_ON_NODE": "4"}, None),
        ({"SLURM_MEM_PER_NODE": "512"}, None),
    ],
    ids=["node", "cpu", "all", "unlimited", "login node of salloc"],
)
def test_the_memory_of_a_job_on_this_node(environ: dict[str, str], expected_mb: int | None) -> None:
    assert slurm_memory_bytes(environ) == (expected_mb and expected_mb << 20)


def test_windows_is_refused_in_one_sentence() -> None:
    refuse_windows("linux")
    refuse_windows("darwin")
    with pytest.raises(UserError, match="runs in WSL"):
        refuse_windows("win32")


def test_only_a_tilde_that_names_a_home_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane")
    assert with_home("~/list.csv") == Path("/home/jane/list.csv")
    assert with_home("~no such user.csv") == Path("~no such user.csv")
