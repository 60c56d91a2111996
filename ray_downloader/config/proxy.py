"""Warns once about a proxy that the environment names but this program does not use, and names the key to set.

The environment is deliberately not followed: a worker task may run on another node, with another environment.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ray_downloader.config.settings import NetworkSettings

_NAMES = ("https_proxy", "http_proxy", "all_proxy")

_log = logging.getLogger(__name__)


def warn_of_unused_proxy(network: NetworkSettings, environ: Mapping[str, str]) -> None:
    """Log a warning if the environment names a proxy and `network.proxy` does not."""
    if network.proxy is not None:
        return
    for name in (spelled for lower in _NAMES for spelled in (lower, lower.upper())):
        if environ.get(name):
            _log.warning(
                "the environment sets %s, which is not used: set network.proxy=... to send requests through it", name
            )
            return
