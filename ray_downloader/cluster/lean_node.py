"""An embedded Ray that starts sooner: without the processes that no run uses, and without waiting for its agents.

`ray.init` has options for neither. Each of these processes is a Python of its own, which takes about a second of a
core; `docs/decisions/0029-a-lean-ray.md` has what that costs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial, wraps
from importlib.util import find_spec
from typing import Any

import psutil
from ray import _raylet
from ray._private import utils
from ray._private.node import Node
from ray.exceptions import RpcError

from ray_downloader.cluster.dashboard import why_not

#: What starts the autoscaler's monitor (there is nothing to scale), the log monitor (no output of tasks is shown), and
#: the dashboard's server, which without a dashboard only reports usage, and that is off.
_UNUSED = ("start_monitor", "start_log_monitor", "start_api_server")
#: What starts the raylet and its agents. It waits until agents whose ports it does not know have told them.
_RAYLET = "start_ray_processes"
_LISTEN_PORT = "dashboard_agent_listen_port"
_AGENT_PORTS = ("metrics_agent_port", "metrics_export_port", _LISTEN_PORT, "runtime_env_agent_port")
#: Outside the ports that systems give to outgoing connections (32768 and above, 49152 and above), of which one could
#: be taken before the agent listens.
_PORTS = range(20_000, 32_000)
#: What imports everything that an agent with all features imports, to learn whether that is installed: 0.2 s.
_CHECK = "get_dashboard_dependency_error"
_AGENT_LIBRARIES = (
    "aiohttp", "aiohttp_cors", "grpc", "opencensus", "opentelemetry", "opentelemetry.exporter.prometheus",
    "prometheus_client",
)  # fmt: skip
#: The agents import for a second of a core each while the workers do, whom Ray gives 15 once they have started.
_AGENT_NICENESS = 5
#: The raylet registers after 0.05 s; Ray asks after 0.1 s, and if that was too early, a second later.
_REGISTRATION_INTERVAL_S = 0.01
_REGISTRATION_PATIENCE_S = 2.0


@contextmanager
def starting_lean(has_dashboard: bool) -> Iterator[None]:
    """A Ray that starts meanwhile in this process has only what it uses, and does not wait for its agents.

    A Ray that names its parts otherwise starts as it would by itself.

    Args:
        has_dashboard: Whether it is to have a dashboard, which needs all of its processes, and its agents at once.
    """
    with ExitStack() as stack:
        if has_dashboard:
            stack.enter_context(replaced(Node, _RAYLET, _with_known_ports))
        else:
            for name in _UNUSED:
                stack.enter_context(replaced(Node, name, lambda _: do_nothing))
            stack.enter_context(replaced(Node, _RAYLET, _without_waiting))
            stack.enter_context(replaced(utils, _CHECK, lambda _: _missing_library))
        yield


@contextmanager
def replaced(owner: Any, name: str, replacement: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Replace a function of Ray, if it has it, in the block.

    Args:
        owner: Its class or module.
        name: Its name there.
        replacement: Makes of it what takes its place.
    """
    if name not in vars(owner):
        yield
        return
    before = vars(owner)[name]
    setattr(owner, name, replacement(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


def do_nothing(*_: object, **__: object) -> None:
    """Takes the place of a function of Ray that is not wanted."""


def _with_known_ports(start: Callable[[Any], None]) -> Callable[[Any], None]:
    """The method of `Node`, with a free port for each agent: by default one has the same in every Ray of a machine."""

    @wraps(start)
    def start_with_ports(node: Any) -> None:
        for name, port in zip(_AGENT_PORTS, _free_ports(), strict=False):
            setattr(node._ray_params, name, port)
        start(node)

    return start_with_ports


def _without_waiting(start: Callable[[Any], None]) -> Callable[[Any], None]:
    """The method of `Node`, whose agents, which nothing needs to begin, start after everything that something does."""

    def announce_and_start(node: Any) -> None:
        _announce_listening(node)
        start(node)
        _await_registration(node)
        _yield_to_workers(node)

    return _with_known_ports(announce_and_start)


def _announce_listening(node: Any) -> None:
    """Say in the agent's place that it listens: the raylet waits for that even if it knows the port."""
    if hasattr(_raylet, "persist_port"):
        port = getattr(node._ray_params, _LISTEN_PORT)
        _raylet.persist_port(node.get_session_dir_path(), node.node_id, _LISTEN_PORT, port)


def _await_registration(node: Any) -> None:
    """Wait for the raylet, more closely than Ray would. Whatever goes wrong, Ray notices next, and says it."""
    until_s = time.monotonic() + _REGISTRATION_PATIENCE_S
    with suppress(RpcError):
        while not node.get_gcs_client().get_all_node_info(timeout=1) and time.monotonic() < until_s:
            time.sleep(_REGISTRATION_INTERVAL_S)


def _yield_to_workers(node: Any) -> None:
    """Let the agents, which are all that the raylet has started so far, start when the machine has time."""
    with suppress(psutil.Error):
        for raylet in node.all_processes["raylet"]:
            for agent in psutil.Process(raylet.process.pid).children():
                agent.nice(_AGENT_NICENESS)


def _missing_library() -> ImportError | None:
    """What Ray's own check returns: why the agent can only have few features, if that is so."""
    missing = [name for name in _AGENT_LIBRARIES if not _is_installed(name)]
    return ImportError(", ".join(missing)) if missing else None


def _is_installed(name: str) -> bool:
    with suppress(ModuleNotFoundError):  # its parent is missing
        return find_spec(name) is not None
    return False


def _free_ports() -> Iterator[int]:
    """Ports of this machine that nobody uses now, in random order, so that two runs rarely choose the same."""
    draw, drawn = partial(random.SystemRandom().choice, _PORTS), set[int]()
    while len(drawn) < len(_PORTS):
        port = draw()
        if port not in drawn and not why_not(port):
            yield port
        drawn.add(port)
