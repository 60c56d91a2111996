"""What the system says about the files of a run, in one sentence instead of a traceback."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ray_downloader.errors import RunFolderError, UserError
from ray_downloader.run_folder.atomic import is_temp

_FULL = {
    errno.ENOSPC: "no space or no inodes are left on its disk",
    errno.EDQUOT: "the quota of its disk is used up",
    errno.EROFS: "its disk is read-only",
    errno.EFBIG: "a file may not become that large",
}
_TOO_MANY = {errno.EMFILE, errno.ENFILE}
#: What the system says of itself, of a user's rights or of the way to a file. What is in the file may be sound.
_OUT_OF_REACH = _TOO_MANY | {
    errno.ENOMEM,
    errno.EACCES,
    errno.EPERM,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EAGAIN,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
}
_AFTER = "what was settled is safe"


def file_error(error: BaseException | None, root: Path) -> RunFolderError | None:
    """The error to show instead; None if it is about something else.

    1. A disk has no room, whichever file it was about.
    2. Too many files are open.
    3. The system refuses a file of the run folder for another reason: it may not be read, or is a folder.

    Args:
        root: The run folder, named if the error does not name a file.
    """
    if not isinstance(error, OSError) or error.errno is None:
        return None
    lack = lack_error(error, root)
    if lack is not None:
        return lack
    path = _named(error)
    if path is None or not path.is_relative_to(root):
        return None
    return RunFolderError(
        f"{path} cannot be used: {os.strerror(error.errno)}; {_AFTER}: put that right, and the same command continues"
    )


def lack_error(error: OSError, root: Path) -> RunFolderError | None:
    """The first two cases of `file_error`: nothing is wrong with what was asked for, only something has run out.

    Args:
        root: A folder, named if the error does not name a file.
    """
    path = _named(error) or root
    if error.errno in _FULL:
        return RunFolderError(f"{path}: {_FULL[error.errno]}; {_AFTER}: make room, and the same command continues")
    if error.errno in _TOO_MANY:
        return RunFolderError(
            f"{path} cannot be opened, as too many files are open already; {_AFTER}: allow more (ulimit -n), and the "
            "same command continues"
        )
    return None


def require_damage(error: BaseException, path: Path) -> None:
    """Check that an error says something about what is in a file, which may then be set aside or replaced.

    Raises:
        RunFolderError: The file is out of reach for now, so nothing is known about it.
    """
    if isinstance(error, OSError) and error.errno in _OUT_OF_REACH:
        told = file_error(OSError(error.errno, os.strerror(error.errno), str(path)), path.parent)
        assert told is not None
        raise told from None


def list_error(error: OSError, path_to_input: str) -> UserError | None:
    """The error to show if it is about a file of the list; None if it is about another.

    Args:
        path_to_input: The list: a file, a folder or a pattern.
    """
    path = _named(error)
    listed = Path(path_to_input)
    if path is None or error.errno is None or not (path.is_relative_to(listed) or path.match(path_to_input)):
        return None
    return UserError(f"{path} cannot be read: {os.strerror(error.errno)}")


def _named(error: OSError) -> Path | None:
    """The file of the error; of two, the one that was to be replaced, and of a temporary one its folder."""
    name = error.filename2 or error.filename
    if not isinstance(name, str | bytes | os.PathLike):
        return None
    path = Path(os.fsdecode(name))
    return path.parent if is_temp(path) else path
