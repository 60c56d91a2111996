"""The environment that Ray reads when it is imported; it must be set earlier, so nothing here imports Ray."""

from __future__ import annotations

import os
import secrets
import sys

from ray_downloader.config.settings import ClusterSettings


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
        _ask_for_token()
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(options.token_file.expanduser().absolute())
    elif starts_own_nodes(options):
        _ask_for_token()  # the file is created together with the nodes


def starts_own_nodes(options: ClusterSettings) -> bool:
    """Whether the run starts Ray on the nodes of its Slurm job, instead of joining a running one."""
    return options.name == "slurm" and options.address is None


def address_of(options: ClusterSettings) -> str | None:
    """Address of the Ray to join, if configured."""
    return options.address or os.environ.get("RAY_ADDRESS")


def _ask_for_token() -> None:
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.pop("RAY_AUTH_TOKEN", None)  # it would take precedence over the file
