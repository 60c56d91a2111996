"""Whether anybody listens where a Ray is said to run. Does not load Ray, whose environment must be set before that."""

from __future__ import annotations

import socket

from ray_downloader.errors import UserError

CONNECT_TIMEOUT_S = 10.0


def refuse_silent(address: str) -> None:
    """Ray itself tries for minutes to reach a port on which nobody listens.

    Raises:
        UserError: Nobody does.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not (host and port.isdigit()):
        return  # `auto`, which Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise UserError(f"no Ray answers at cluster.address={address}: {error.strerror or error}") from None
