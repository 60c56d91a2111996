"""Which certificate authorities are trusted: the configured file, else the ones that `certifi` ships.

Not the system's: wheels of libcurl do not know where it lies, and a run is to mean the same on every node.
"""

from __future__ import annotations

import certifi

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import UserError


def ca_file(network: NetworkSettings) -> str:
    """Path of the CA file.

    Raises:
        UserError: `network.ca_bundle` names a file that does not exist.
    """
    if network.ca_bundle is None:
        return certifi.where()
    if not network.ca_bundle.is_file():
        raise UserError(f"network.ca_bundle={network.ca_bundle} does not exist; it must be a file of PEM certificates")
    return str(network.ca_bundle)
