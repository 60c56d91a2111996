"""What comes before Ray is imported: the environment that it reads then, and whether there is one to join.

Nothing here imports Ray.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys

from ray_downloader.config.settings import ClusterSettings
from ray_downloader.errors import UserError

CONNECT_TIMEOUT_S = 10.0


def prepare_environment(options: ClusterSettings) -> None:
    """Set the variables for Ray, unless the user has set them."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Otherwise a driver under `uv run` would ship its whole environment to each worker.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Actors without GPUs see none: Ray's future default, and without it there is a warning on every machine.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if options.name == "local" and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        # A token for this run only: otherwise Ray writes one into the home folder, turning authentication on elsewhere.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    if options.token_file is not None:
        _require_token()
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(options.token_file.expanduser().absolute())
    elif starts_own_nodes(options):
        _require_token()  # the file is created together with the nodes


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


def _require_token() -> None:
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.pop("RAY_AUTH_TOKEN", None)  # it would take precedence over the file
