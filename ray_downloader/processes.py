"""How processes that we started are ended: asked first, and only forced if they do not listen."""

from __future__ import annotations

import subprocess


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
