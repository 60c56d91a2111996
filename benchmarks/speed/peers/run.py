"""Runs each peer on a list, as its documentation says, with the work that all contenders do."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.environments import IMG2DATASET, environment
from benchmarks.speed.ours import CHECKOUT, run_quietly
from benchmarks.speed.timing import Timing

WORK = CHECKOUT / "benchmarks" / "work"
#: What img2dataset's README recommends for one machine: a process a core, and several times ten threads.
THREADS = 64
_PIXELS = ("opencv-python-headless", "numpy")
DAFT = ("daft==0.7.26", *_PIXELS)
DISTRIBUTED_DOWNLOADER = ("attrs", "pandas", "pyarrow", "requests", *_PIXELS)


def run_img2dataset(
    urls: Sequence[str], shard_rows: int, arguments: Sequence[str] = (), authority: Path | None = None
) -> Timing:
    """Its stage is what its own statistics say: from the start of the first shard to the end of the last.

    Raises:
        PeerMissingError: It cannot be installed here.
        RuntimeError: It failed, or a row did.
    """
    program = environment(WORK / "img2dataset", [IMG2DATASET]).with_name("img2dataset")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(program), f"--url_list={_listed(folder, urls)}", f"--output_folder={folder}/out",
            "--output_format=parquet", "--image_size=256", "--resize_mode=keep_ratio_largest",
            "--resize_only_if_bigger=True", "--encode_quality=95", "--compute_hash=md5", "--processes_count=2",
            f"--thread_count={THREADS}", f"--number_sample_per_shard={shard_rows}", "--enable_wandb=False", *arguments,
        ]  # fmt: skip
        started_s = time.monotonic()
        run_quietly(command, Path(folder), {"SSL_CERT_FILE": str(authority)} if authority else {})
        command_s = time.monotonic() - started_s
        shards = [json.loads(path.read_text("utf-8")) for path in Path(folder, "out").glob("*_stats.json")]
    _require_all(sum(shard["successes"] for shard in shards), urls)
    stage_s = max(shard["end_time"] for shard in shards) - min(shard["start_time"] for shard in shards)
    return Timing(len(urls), stage_s, command_s)


def run_daft(urls: Sequence[str]) -> Timing:
    """Stage: from the plan to the last file.

    Raises:
        PeerMissingError: It cannot be installed here.
        RuntimeError: It failed, or a row did.
    """
    return _run_script(environment(WORK / "daft", DAFT), "run_daft", urls)


def run_ray_data(urls: Sequence[str]) -> Timing:
    """The Ray that this project needs anyway; stage: from the plan to the last file, without Ray's start.

    Raises:
        RuntimeError: It failed, or a row did.
    """
    return _run_script(Path(sys.executable), "run_ray_data", urls)


def run_distributed_downloader(urls: Sequence[str], source: Path) -> Timing:
    """Stage: from the first request to the last file.

    Raises:
        PeerMissingError: What it imports cannot be installed here.
        RuntimeError: It failed, or a row did.
    """
    python = environment(WORK / "distributed-downloader", DISTRIBUTED_DOWNLOADER)
    return _run_script(python, "run_distributed_downloader", urls, str(source))


def _run_script(python: Path, name: str, urls: Sequence[str], *arguments: str) -> Timing:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out")
        command = [str(python), "-m", f"benchmarks.speed.peers.{name}", _listed(folder, urls), str(output), *arguments]
        started_s = time.monotonic()
        run_quietly(command, Path(folder))
        command_s = time.monotonic() - started_s
        stage_s = float(Path(folder, "log").read_text("utf-8").split()[-1])
        _require_all(sum(pq.read_metadata(path).num_rows for path in output.rglob("*.parquet")), urls)
    return Timing(len(urls), stage_s, command_s)


def _listed(folder: str, urls: Sequence[str]) -> str:
    path = Path(folder, "list.txt")
    path.write_text("\n".join(urls) + "\n", "utf-8")
    return str(path)


def _require_all(images: int, urls: Sequence[str]) -> None:
    if images != len(urls):
        raise RuntimeError(f"{images} of {len(urls)} images")
