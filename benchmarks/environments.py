"""Throw-away environments: a folder with what one peer needs, made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: img2dataset, in all benchmarks that it takes part in.
IMG2DATASET = "img2dataset==1.47.0"
#: Older than 3.13, where img2dataset's `imghdr` is gone from the standard library (rom1504/img2dataset#466).
PYTHONS = ("python3.12", "python3.11", "python3.10")


class PeerMissingError(Exception):
    """A peer cannot be installed here."""


def environment(folder: Path, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment with these packages, installed into `folder` if it is not there yet.

    Raises:
        PeerMissingError: There is no Python that the peers run on (3.10 to 3.12), or the installation failed.
    """
    python, marker = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(requirements)
    if marker.exists() and marker.read_text("utf-8") == wanted:
        return python
    found = [sys.executable] if sys.version_info < (3, 13) else [path for path in map(shutil.which, PYTHONS) if path]
    if not found:
        raise PeerMissingError("the peers need a Python from 3.10 to 3.12")
    try:
        subprocess.run([found[0], "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise PeerMissingError(f"{wanted} cannot be installed: {error}") from None
    marker.write_text(wanted, "utf-8")
    return python
