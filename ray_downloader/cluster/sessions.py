"""The folders that an embedded Ray leaves behind: logs and dead sockets, hundreds of files for each run."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

#: How long the logs of a run that failed or was killed are kept: somebody may want to read them.
KEPT_S = 86_400.0


@contextmanager
def removing_sessions(folder: Path) -> Iterator[None]:
    """Once Ray has ended well, remove its session; and those of processes that are gone for a day.

    Args:
        folder: Ray's folder of one user, with a `session_<time>_<process>` for each start.
    """
    yield
    for session in folder.glob("session_*_*"):
        number = session.name.rpartition("_")[2]
        if number.isdecimal() and _is_over(session, int(number)):
            shutil.rmtree(session, ignore_errors=True)
    latest = folder / "session_latest"
    if latest.is_symlink() and not latest.exists():
        latest.unlink(missing_ok=True)


def _is_over(session: Path, process: int) -> bool:
    """Whether nobody needs it: it is of this process, whose Ray has just ended, or old, and its process is gone."""
    if process == os.getpid():
        return True
    try:
        age_s = time.time() - session.stat().st_mtime
    except OSError:
        return False  # another run removes it
    return age_s > KEPT_S and not psutil.pid_exists(process)
