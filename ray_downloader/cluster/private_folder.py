"""A folder for Ray's sockets and logs that no other user of the machine can enter: Ray itself makes its own 0777."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ray_downloader.errors import UserError
from ray_downloader.run_folder.file_errors import lack_error


def private_folder(scratch: Path) -> Path:
    """`<scratch>/rd-<user id>`, made if it is missing; a new name if somebody else has taken that one.

    Its path is short, as paths of sockets may have 107 characters.

    Raises:
        UserError: No folder can be made there.
    """
    path = scratch / f"rd-{os.getuid()}"
    try:
        return path if _make(path) or _is_ours_alone(path) else Path(tempfile.mkdtemp(prefix="rd-", dir=scratch))
    except OSError as error:
        raise lack_error(error, scratch) or UserError(
            f"cluster.scratch={scratch} cannot be used: {error.strerror}; name a folder on each machine's own disk "
            "in which you may write"
        ) from None


def _make(path: Path) -> bool:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _is_ours_alone(path: Path) -> bool:
    """Whether it is a folder, not a link to one, of this user and closed to all others (closed now if it was not)."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return False
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return True
