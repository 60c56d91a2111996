"""An embedded Ray without the processes that no run uses, which `ray.init` has no option to leave out.

Each is a Python process of its own, and `ray.init` waits for the dashboard's server even if no dashboard is wanted:
on two cores they take half of Ray's start (benchmarks/speed/README.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray._private.node import Node

#: What starts the autoscaler's monitor (there is nothing to scale), the log monitor (no output of tasks is shown), and
#: the dashboard's server, which without a dashboard only reports usage, and that is off.
_STARTERS = ("start_monitor", "start_log_monitor", "start_api_server")


@contextmanager
def starting_lean(has_dashboard: bool) -> Iterator[None]:
    """A Ray that starts meanwhile in this process leaves these processes out, unless it is to have a dashboard.

    A Ray whose node names them otherwise starts them.
    """
    names = [] if has_dashboard else [name for name in _STARTERS if name in vars(Node)]
    before = {name: vars(Node)[name] for name in names}
    for name in names:
        setattr(Node, name, _start_nothing)
    try:
        yield
    finally:
        for name, starter in before.items():
            setattr(Node, name, starter)


def _start_nothing(*_: object, **__: object) -> None:
    """Takes the place of a method of `Node` that starts a process."""
