"""img2dataset itself, in an environment of its own that this benchmark makes once.

It needs a Python below 3.13, where the standard library still has `imghdr` (rom1504/img2dataset#466).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

VERSION = "img2dataset==1.47.0"
PYTHONS = ("python3.12", "python3.11", "python3.10")


class PeerMissingError(Exception):
    """img2dataset cannot be installed here."""


def installed_peer(folder: Path) -> Path:
    """The program, installed into `folder` if it is not there yet.

    Raises:
        PeerMissingError: There is no Python that it runs on, or the installation failed.
    """
    program = folder / "bin" / "img2dataset"
    if program.exists():
        return program
    # The registry's pip may be old, so the interpreter that runs this benchmark goes first.
    found = [sys.executable] if sys.version_info < (3, 13) else [path for path in map(shutil.which, PYTHONS) if path]
    if not found:
        raise PeerMissingError("img2dataset needs Python 3.12 or older (it imports imghdr)")
    try:
        subprocess.run([found[0], "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", VERSION], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise PeerMissingError(f"{VERSION} cannot be installed: {error}") from None
    return program


def run_peer(program: Path, urls: Sequence[str], processes: int, threads: int, seconds: float) -> None:
    """Download the list with two processes, as its users would, or as far as it comes in that time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "list.txt")
        path.write_text("\n".join(urls) + "\n", "utf-8")
        command = [
            str(program), f"--url_list={path}", f"--output_folder={folder}/out", "--output_format=files",
            f"--processes_count={processes}", f"--thread_count={threads}", "--retries=2", "--image_size=64",
            f"--number_sample_per_shard={-(-len(urls) // processes)}", "--enable_wandb=False",
        ]  # fmt: skip
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its workers belong to its session and have no other way to end early."""
    subprocess.run(["kill", "-TERM", "--", f"-{process.pid}"], check=False)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=False)
