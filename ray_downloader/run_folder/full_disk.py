"""A disk without room, whatever it lacks: one sentence instead of a traceback."""

from __future__ import annotations

import errno
from pathlib import Path

from ray_downloader.errors import RunFolderError

_FULL = {
    errno.ENOSPC: "no space or no inodes are left on its disk",
    errno.EDQUOT: "the quota of its disk is used up",
    errno.EROFS: "its disk is read-only",
    errno.EFBIG: "a file may not become that large",
}


def full_disk_error(error: BaseException | None, root: Path) -> RunFolderError | None:
    """The error to show instead; None if it is about something else.

    Args:
        root: The run folder, named if the error does not name a file.
    """
    if not isinstance(error, OSError) or error.errno not in _FULL:
        return None
    return RunFolderError(
        f"{error.filename or root}: {_FULL[error.errno]}; what was settled is safe: make room, and the same command "
        "continues"
    )
