"""What comes before Ray is imported: the environment that it reads then, and whether there is one to join.

Nothing here imports Ray.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ray_downloader.config.settings import ClusterSettings
from ray_downloader.errors import UserError
from ray_downloader.machine import with_home

CONNECT_TIMEOUT_S = 10.0

#: Where Ray looks for a token, or writes one.
HOME_TOKEN = Path("~/.ray/auth_token")
#: gRPC compares the ends of names with this list, and Ray only uses addresses.
_NOT_BY_PROXY = "no_grpc_proxy"
_ENDS_OF_ADDRESSES = ",".join("0123456789abcdef")
#: The discard port of this machine, where nobody listens.
_NOBODY = "http://127.0.0.1:9"
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", _NOT_BY_PROXY)
#: Of the C library's allocator (`man mallopt`).
_ARENAS, _MOST_ARENAS = "MALLOC_ARENA_MAX", "2"
#: What keeps Ray from waiting longer and from remembering more than it needs, unless the user has set it.
_FRUGAL = {
    # The raylet connects to its own store, and if that was too early, again: after this pause instead of a second, and
    # for 10 s in all, as ever.
    "RAY_raylet_client_connect_timeout_milliseconds": "20",
    "RAY_raylet_client_num_connect_attempts": "500",
    # Ray's end waits for its last metrics to be taken, 10 s by default if the agent has only just begun to listen.
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "1s",
    # Its head has 4 kB about each of the last tasks, for the dashboard: of 100,000 by default.
    "RAY_task_events_max_num_task_in_gcs": "10000",
}
#: What the environment said about proxies, as JSON.
KEPT_PROXIES = "RAY_DOWNLOADER_KEPT_PROXIES"


def prepare_environment(options: ClusterSettings) -> None:
    """Set the variables for Ray, unless the user has set them."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Otherwise a driver under `uv run` would ship its whole environment to each worker.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Actors without GPUs see none: Ray's future default, and without it there is a warning on every machine.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Its raylets' remarks about tasks that died are coloured text on standard output; the driver says it itself.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    os.environ[_NOT_BY_PROXY] = _ENDS_OF_ADDRESSES
    if options.name == "local" and "ray" not in sys.modules:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # its name elsewhere: the node is 127.0.0.1
    if options.name == "local" and _may_choose_token():
        # A token for this run only: otherwise Ray writes one into the home folder, turning authentication on elsewhere,
        # in a file that others can read.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    if options.token_file is not None:
        _require_token()
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(with_home(options.token_file).absolute())
    elif starts_own_nodes(options):
        _require_token()  # the file is created together with the nodes


def environment_of_ray_processes(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep Ray's processes from asking and telling others, and from idly holding memory or waiting.

    Ray asks the cloud's metadata service (169.254.169.254) where it runs, also when usage reports are off, and a
    cluster reports that they are. Both honour a proxy, so they get one that nobody answers for; what the environment
    had is kept for the user's tools (`restore_proxies`). gRPC would also use it, but for the names it is told to spare.

    Each of a worker's 28 threads would have an arena of its own for what it allocates, and none is given back.
    """
    given = {name: environ[name] for name in _PROXY_VARIABLES if name in environ and KEPT_PROXIES not in environ}
    return {
        KEPT_PROXIES: environ.get(KEPT_PROXIES) or json.dumps(given),
        _ARENAS: environ.get(_ARENAS, _MOST_ARENAS),
        **{name: environ.get(name, value) for name, value in _FRUGAL.items()},
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_USAGE_STATS_REPORT_URL": _NOBODY,
        _NOT_BY_PROXY: _ENDS_OF_ADDRESSES,
        **dict.fromkeys(("http_proxy", "https_proxy"), _NOBODY),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
    }


@contextmanager
def as_ray_process() -> Iterator[None]:
    """Have processes that start meanwhile inherit `environment_of_ray_processes`."""
    changes = environment_of_ray_processes(os.environ)
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        _set(before)


def restore_proxies() -> None:
    """In a process that Ray started: the environment's proxies as the user set them, for tools of the user."""
    kept = os.environ.get(KEPT_PROXIES)
    if kept is not None:
        given: dict[str, str] = json.loads(kept)
        _set({name: given.get(name) for name in _PROXY_VARIABLES})


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def starts_own_nodes(options: ClusterSettings) -> bool:
    """Whether the run starts Ray on the nodes of its Slurm job, instead of joining a running one."""
    return options.name == "slurm" and options.address is None


def address_of(options: ClusterSettings) -> str | None:
    """Address of the Ray to join, if configured."""
    return options.address or os.environ.get("RAY_ADDRESS")


def refuse_silent(address: str) -> None:
    """Refuse at once an address at which nothing listens: Ray itself tries for minutes.

    Raises:
        UserError: Nothing listens there.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not (host and port.isdigit()):
        return  # `auto`, which Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise UserError(f"no Ray answers at cluster.address={address}: {error.strerror or error}") from None


def _may_choose_token() -> bool:
    """Whether neither the user nor an earlier use of Ray in this process has decided about tokens."""
    mode = os.environ.get("RAY_AUTH_MODE")
    has_token = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys() or HOME_TOKEN.expanduser().exists()
    return (mode is None or (mode == "token" and not has_token)) and "ray" not in sys.modules


def _require_token() -> None:
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.pop("RAY_AUTH_TOKEN", None)  # it would take precedence over the file
