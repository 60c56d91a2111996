"""One process at a time in a folder, on all machines: the lock ends with the process, even if it is killed."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray_downloader.errors import FolderBusyError, UserError
from ray_downloader.run_folder.file_errors import lack_error
from ray_downloader.run_folder.lease_file import REAL_TIME, HeldElsewhere, LeaseFile, Timing, holder_of

_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
#: What a file system without locks says.
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}


@contextmanager
def holding(lock_file: Path, busy: str, timing: Timing = REAL_TIME) -> Iterator[None]:
    """Hold the lock for the duration of the block; its folder is created if it does not exist.

    Args:
        lock_file: The file that is locked; a lease is beside it (`lease_file.py`).
        busy: The message if another process holds it.
        timing: How time passes while it is watched whether a lease is renewed.

    Raises:
        FolderBusyError: Another process holds it.
        UserError: The folder cannot be written.
    """
    lease_path = lock_file.with_name(f"{lock_file.name}-lease")
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unusable(lock_file.parent, error) from None
    try:
        lease = LeaseFile(lease_path, _lock(descriptor), timing)
        lease.acquire()
    except (HeldElsewhere, BlockingIOError) as error:
        os.close(descriptor)
        holder = str(error) if isinstance(error, HeldElsewhere) else holder_of(lease_path)
        raise FolderBusyError(f"{busy}, or wait for it to end{f' ({holder})' if holder else ''}") from None
    except OSError as error:
        os.close(descriptor)
        raise _unusable(lock_file.parent, error) from None
    try:
        yield
    finally:
        lease.release()
        os.close(descriptor)


def _unusable(folder: Path, error: OSError) -> UserError:
    name = f" ({Path(error.filename).name})" if error.filename else ""
    return lack_error(error, folder) or UserError(f"{folder} cannot be used: {error.strerror}{name}")


def _lock(descriptor: int) -> bool:
    """Take the lock of the operating system; False if the file system has none.

    Raises:
        BlockingIOError: Another process has it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            raise BlockingIOError(error.errno, error.strerror) from None
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


@contextmanager
def holding_run(root: Path, lock_file: Path) -> Iterator[None]:
    """Hold a run folder.

    Raises:
        FolderBusyError: Another run holds it.
        UserError: The folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise (
            lack_error(error, root) or UserError(f"path_to_output={root} cannot be used: {error.strerror}")
        ) from None
    with holding(lock_file, f"another run holds {root}; choose another path_to_output"):
        yield
