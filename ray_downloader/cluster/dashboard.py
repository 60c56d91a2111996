"""Whether Ray's dashboard runs, at which port, and how its token is passed. Does not import Ray."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ray_downloader.config.settings import ClusterSettings
from ray_downloader.errors import UserError

HOST = "127.0.0.1"
#: Where people look for it first.
USUAL_PORT = 8265
#: `auto`: runs that are planned to take longer have a dashboard; its processes take seconds to start.
LONG_RUN_S = 300.0
TOKEN_FILE = ".ray-token"


def require_free_port(options: ClusterSettings) -> None:
    """Refuse a port that cannot be used, before any work.

    Raises:
        UserError: It is in use, or this user may not use it.
    """
    port = options.dashboard_port
    if isinstance(port, int) and options.name != "existing":
        why = why_not(port)
        if why:
            raise UserError(
                f"cluster.dashboard_port={port} cannot be used ({why}): choose another port, auto, or null for none"
            )


def with_chosen_port(options: ClusterSettings, planned_s: float | None) -> ClusterSettings:
    """The options of a local Ray with its port instead of `auto`, or none for a short run.

    Args:
        planned_s: How long the run will take; None if unknown, as for tools.
    """
    if options.name != "local" or options.dashboard_port != "auto":
        return options
    port = _free_port() if planned_s is not None and planned_s > LONG_RUN_S else None
    return options.model_copy(update={"dashboard_port": port})


def _free_port() -> int:
    if not why_not(USUAL_PORT):
        return USUAL_PORT
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def why_not(port: int) -> str:
    """Why a port cannot be used; empty if it can."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as Ray does, so that an ended run does not block it
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


@contextmanager
def way_to_dashboard(
    address: str | None, folder: Path, environ: Mapping[str, str] = os.environ
) -> Iterator[str | None]:
    """How to open the dashboard of a local Ray, in words; the token of the run is in a private file meanwhile.

    Args:
        address: Its `host:port`; None if it does not run.
        folder: The run folder.
        environ: In which the token is.
    """
    if address is None:
        yield None
        return
    token = environ.get("RAY_AUTH_TOKEN") if environ.get("RAY_AUTH_MODE") == "token" else None
    if token is None:
        yield f"dashboard: http://{address}"
        return
    path = folder / TOKEN_FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token + "\n")
    try:
        yield (
            f"dashboard: http://{address} , which asks for the token in {path} "
            f'(for programs: the header "Authorization: Bearer TOKEN"); cluster.dashboard_port=null turns it off'
        )
    finally:
        path.unlink(missing_ok=True)
