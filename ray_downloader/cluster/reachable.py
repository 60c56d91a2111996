"""Whether anything listens at the address of a Ray. Does not load Ray, whose environment must be set first."""

from __future__ import annotations

import socket

from ray_downloader.errors import UserError

CONNECT_TIMEOUT_S = 10.0


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
