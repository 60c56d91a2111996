"""img2dataset itself, in an environment of its own that the benchmarks make once."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


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
