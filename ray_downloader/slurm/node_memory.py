"""Why the kernel may have killed a process: figures of this node's memory, and the kernel's own words."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import psutil

from ray_downloader.machine import cgroup_memory_in_use, usable_memory_bytes

#: How old the kernel's words may be: a death is reported within seconds.
_RECENT_S = 120.0
_KILLED = re.compile(
    r"\[\s*(\d+\.\d+)\].*(?:Out of memory|Memory cgroup out of memory): (Killed process \d+ \((.*?)\).*)"
)


def memory_sentence(process_name: str) -> str:
    """The figures of this node, and what the kernel says if it killed that process."""
    usable, in_use = usable_memory_bytes(), cgroup_memory_in_use()
    figures = f"{_gb(in_use)} of {_gb(usable)}" if in_use is not None else _of_machine(usable)
    words = f"memory in use now: {figures}"
    killed = kernel_words(_kernel_log(), process_name, time.clock_gettime(time.CLOCK_BOOTTIME))
    return f"{words}; the kernel: {killed}" if killed else words


def kernel_words(log: str, process_name: str, uptime_s: float) -> str:
    """The kernel's last line about killing a process of that name for want of memory; empty if there is none."""
    for line in reversed(log.splitlines()):
        found = _KILLED.search(line)
        if found and float(found[1]) >= uptime_s - _RECENT_S and found[3] == process_name[:15]:
            return found[2]
    return ""


def _of_machine(usable: int) -> str:
    memory = psutil.virtual_memory()
    limit = f", of which this job may use {_gb(usable)}" if usable < memory.total else ""
    return f"{_gb(memory.total - memory.available)} of the machine's {_gb(memory.total)}{limit}"


def _kernel_log() -> str:
    """`dmesg`; empty if users may not read it, as on most sites."""
    if not Path("/dev/kmsg").exists():
        return ""
    try:
        return subprocess.run(
            ["dmesg"], capture_output=True, text=True, check=False, timeout=3, errors="replace"
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GB"
