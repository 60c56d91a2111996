"""What this process may use of its machine: the CPUs and memory that its affinity, its cgroup and its Slurm job leave.

A shared node has more cores and memory than a job, and a container more than its limits say. Whoever decides how many
processes to start, or how much to hold in memory, asks here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from ray_downloader.errors import UserError

#: Version 1 of cgroups writes "no limit" as a number near 2^63.
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True, slots=True)
class CgroupLimits:
    """The tightest limits of this process's cgroup and of those around it; None where there is none."""

    cpus: float | None = None
    memory_bytes: int | None = None


def refuse_windows(platform: str = sys.platform) -> None:
    """Runs need locks, signals and processes as POSIX has them.

    Raises:
        UserError: This is Windows.
    """
    if platform == "win32":
        raise UserError("on Windows this program runs in WSL: `wsl --install`, then install and start it in there")


def usable_cpus(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """CPUs that this process may use: within its affinity, its cgroup's quota, and its Slurm job on this node.

    Args:
        environ: Contains `SLURM_CPUS_ON_NODE` on a node of a Slurm job.
        root: Where `proc` is.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cpus_within(affinity, cgroup_limits(root).cpus, environ)


def usable_memory_bytes(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """Memory that this process may use: of the machine, its cgroup, and its Slurm job on this node."""
    total = psutil.virtual_memory().total
    return min(total, cgroup_limits(root).memory_bytes or total, slurm_memory_bytes(environ) or total)


def cpus_within(affinity: int, quota: float | None, environ: Mapping[str, str]) -> int:
    """The smallest of the three; part of a CPU counts as none, unless it is all there is."""
    of_job = environ.get("SLURM_CPUS_ON_NODE", "")
    limits = [affinity, *([int(quota)] if quota is not None else []), *([int(of_job)] if of_job.isdigit() else [])]
    return max(1, min(limits))


def slurm_memory_bytes(environ: Mapping[str, str]) -> int | None:
    """Memory of the Slurm job on this node; None outside a job, and in a job with all memory (`--mem=0`)."""
    cpus = _number(environ, "SLURM_CPUS_ON_NODE")
    if not cpus:
        return None
    return ((_number(environ, "SLURM_MEM_PER_NODE") or _number(environ, "SLURM_MEM_PER_CPU") * cpus) << 20) or None


def _number(environ: Mapping[str, str], name: str) -> int:
    value = environ.get(name, "")
    return int(value) if value.isdigit() else 0


def cgroup_limits(root: Path = Path("/")) -> CgroupLimits:
    """The limits that the kernel enforces on this process; none on systems without cgroups."""
    cpus, memory = [], []
    for folder in _own_folders(root):
        cpus += [quota for quota in (_quota_v2(folder), _quota_v1(folder)) if quota]
        memory += [limit for limit in [_memory_limit(folder)] if limit]
    return CgroupLimits(min(cpus, default=None), min(memory, default=None))


def cgroup_memory_in_use(root: Path = Path("/")) -> int | None:
    """Memory in use within the cgroup whose limit this process would meet first; None if no limit is set."""
    limited = [(limit, folder) for folder in _own_folders(root) if (limit := _memory_limit(folder))]
    if not limited:
        return None
    _, folder = min(limited, key=lambda pair: pair[0])
    return _integer(folder / "memory.current") or _integer(folder / "memory.usage_in_bytes")


def _memory_limit(folder: Path) -> int | None:
    limits = (_integer(folder / name) for name in ("memory.max", "memory.limit_in_bytes"))
    return next((limit for limit in limits if limit and limit < _NO_LIMIT_BYTES), None)


def _own_folders(root: Path) -> Iterator[Path]:
    """This process's folder in each hierarchy of cgroups, and the folders above it."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for mount in mounts:
            if mount.holds(controllers):
                yield from mount.folders(path, root)


@dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted hierarchy of cgroups.

    Args:
        top: The cgroup that is seen at `point`; not `/` inside some containers.
        controllers: Empty for version 2.
    """

    top: str
    point: str
    controllers: frozenset[str]

    def holds(self, controllers: str) -> bool:
        """Whether a line of `/proc/self/cgroup` with these controllers is about this hierarchy."""
        return self.controllers.issuperset(controllers.split(",")) if controllers else not self.controllers

    def folders(self, path: str, root: Path) -> Iterator[Path]:
        point = root / self.point.lstrip("/")
        below = path[len(self.top.rstrip("/")) :] if f"{path}/".startswith(f"{self.top.rstrip('/')}/") else ""
        folder = point / below.strip("/")
        if not folder.exists():  # the path is that of another namespace
            folder = point
        yield folder
        yield from (parent for parent in folder.parents if parent.is_relative_to(point))


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in _lines(root / "proc/self/mountinfo"):
        place, _, kind = line.partition(" - ")
        system, _, options = kind.partition(" ")
        if system in {"cgroup", "cgroup2"}:
            top, point = place.split(" ")[3:5]
            controllers = options.rpartition(" ")[2].split(",") if system == "cgroup" else ()
            yield _Mount(top, point.replace("\\040", " "), frozenset(controllers))


def _quota_v2(folder: Path) -> float | None:
    words = " ".join(_lines(folder / "cpu.max")).split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0].isdigit() else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _integer(folder / "cpu.cfs_quota_us"), _integer(folder / "cpu.cfs_period_us")
    return quota / period if quota and period else None


def _integer(file: Path) -> int | None:
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdigit() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def with_home(path: str | Path) -> Path:
    """A path in which `~` is the user's home; a name such as `~copy.csv` begins with it, too, and is left as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises an error for users it does not know)
