"""How processes that we started are ended, and whether one lives.

They are asked first, and only forced if they do not listen.
"""

from __future__ import annotations

import subprocess
import sys

import psutil

#: How far two statements of when a process started may differ.
_SAME_START_S = 1.0


def started_s(process: psutil.Process) -> float:
    """When a process started: by the time since its machine's start, as far as the system counts like that.

    On Linux, Unix time is computed from it, and is another one whenever the clock is set.
    """
    boot_unix_s = psutil.boot_time() if sys.platform == "linux" else 0.0
    return process.create_time() - boot_unix_s


def may_be_alive(pid: object, process_started_s: object) -> bool:
    """Whether a process of this machine may still run: the number alone may have been given to another since.

    Args:
        pid: Its number, as a file says.
        process_started_s: When it started (`started_s`), likewise.

    Returns:
        True also if the system does not say; False if these are no numbers of a process.
    """
    if not isinstance(pid, int) or not isinstance(process_started_s, int | float):
        return False
    try:
        return abs(started_s(psutil.Process(pid)) - process_started_s) < _SAME_START_S
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
    except psutil.Error:
        return True


def end_by_input(process: subprocess.Popen[bytes] | subprocess.Popen[str], patience_s: float) -> None:
    """Close the standard input of a process that ends with it; SIGTERM if it has not ended after `patience_s`."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.terminate()


def end_by_signal(process: subprocess.Popen[str], patience_s: float) -> None:
    """Send SIGTERM to a process; SIGKILL if it has not ended after `patience_s`."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
