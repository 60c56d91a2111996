"""An embedded Ray that starts sooner: without the processes that no run uses, and without waiting for the others.

`ray.init` has options for neither. Each of these processes is a Python of its own, which takes about a second of a
core; `docs/decisions/0029-a-lean-ray.md` has what that costs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ray._private.node import Node

from ray_downloader.cluster.dashboard import why_not

#: What starts the autoscaler's monitor (there is nothing to scale), the log monitor (no output of tasks is shown), and
#: the dashboard's server, which without a dashboard only reports usage, and that is off.
_UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")
#: What starts the raylet and its agents. It waits until agents whose ports it does not know have told them.
_RAYLET = "start_ray_processes"
_AGENT_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
#: Outside the ports that systems give to outgoing connections (32768 and above, 49152 and above), of which one could
#: be taken before the agent listens.
_PORTS = range(20_000, 32_000)


@contextmanager
def starting_lean(has_dashboard: bool) -> Iterator[None]:
    """A Ray that starts meanwhile in this process has only what it uses, and does not wait for its agents.

    A Ray whose node names its methods otherwise starts as it would by itself.

    Args:
        has_dashboard: Whether it is to have a dashboard, which needs all of its processes.
    """
    instead: dict[str, Callable[..., None]] = {} if has_dashboard else dict.fromkeys(_UNUSED, _start_nothing)
    if _RAYLET in vars(Node):
        instead[_RAYLET] = _with_known_ports(vars(Node)[_RAYLET])
    before = {name: vars(Node)[name] for name in instead if name in vars(Node)}
    for name in before:
        setattr(Node, name, instead[name])
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(Node, name, method)


def _start_nothing(*_: object, **__: object) -> None:
    """Takes the place of a method of `Node` that starts a process."""


def _with_known_ports(start: Callable[[Any], None]) -> Callable[[Any], None]:
    """The method of `Node`, with a free port for each agent: by default one has the same in every Ray of a machine."""

    @wraps(start)
    def start_with_ports(node: Any) -> None:
        for name, port in zip(_AGENT_PORTS, _free_ports(), strict=False):
            setattr(node._ray_params, name, port)
        start(node)

    return start_with_ports


def _free_ports() -> Iterator[int]:
    """Ports of this machine that nobody uses now, in random order, so that two runs rarely choose the same."""
    ports = random.SystemRandom().sample(_PORTS, len(_PORTS))
    return (port for port in ports if not why_not(port))
