"""How many cores this process may use: a batch system or a container gives it fewer than the machine has."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """At least one; macOS does not say, so there it is all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
