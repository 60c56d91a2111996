"""The environment that Ray reads when it is imported; set before that, so nothing here imports Ray."""

from __future__ import annotations

import os
import secrets
import sys

from ray_downloader.settings import ClusterSettings


def prepare_environment(options: ClusterSettings) -> None:
    """Set what Ray is to find, unless the user set it already."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # A driver under `uv run` would else ship its whole environment to each worker.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Actors without GPUs see none: Ray's coming default, and without it a warning on every machine.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if options.name == "local" and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        # A token of this run's own: else Ray writes one into the user's home, which turns authentication on elsewhere.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
