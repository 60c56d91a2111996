"""A folder for Ray's sockets and logs that no other user of the machine can enter: Ray itself makes its own 0777."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def private_folder(scratch: Path) -> Path:
    """`<scratch>/rd-<user id>`, made if it is missing; a new name if somebody else has taken that one.

    Its path is short, as paths of sockets may have 107 characters.
    """
    path = scratch / f"rd-{os.getuid()}"
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not _is_ours_alone(path):
            return Path(tempfile.mkdtemp(prefix="rd-", dir=scratch))
    return path


def _is_ours_alone(path: Path) -> bool:
    """Whether it is a folder, not a link to one, of this user and closed to all others (closed now if it was not)."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return False
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return True
