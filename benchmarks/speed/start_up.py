"""From the command to the first request, ten URLs as a whole, and how long a finished run of 1 M rows takes to say so.

`python -m benchmarks.speed.start_up`; the finished run is written by the project's own partition and publisher.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.speed.origin import running_nginx
from benchmarks.speed.ours import command_of, run_quietly
from benchmarks.speed.peers.run import WORK
from benchmarks.speed.pictures import make_pictures
from benchmarks.speed.report import spread
from ray_downloader.config.settings import Settings
from ray_downloader.output.batch_folder import BatchFolder
from ray_downloader.output.journal import Journal, Rows
from ray_downloader.partition.batches import Batch, load_batches, read_batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import ImageRecord

ROWS, SERVERS = 1_000_000, 1_000
_NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
_IMAGE = ImageRecord("a" * 32, "b" * 32, (480, 640), (192, 256), b"image", "jpeg", "jpeg", 0, "", None, None, _NOW)


def first_request_s() -> float:
    """Seconds from the command to the first request that the server logged."""
    files = make_pictures(WORK / "pictures")["small"]
    with running_nginx(WORK / "pictures", logs=True) as origin, tempfile.TemporaryDirectory() as folder:
        list_file = Path(folder, "list.txt")
        list_file.write_text("\n".join(origin.urls(files, 200)) + "\n", "utf-8")
        started_s = time.time()
        run_quietly(command_of(list_file, Path(folder, "out"), []), Path(folder))
        return min(float(line.split()[0]) for line in origin.log.read_text().splitlines()) - started_s


def ten_urls_s() -> float:
    """Seconds of the whole command for ten pictures."""
    files = make_pictures(WORK / "pictures")["small"]
    with running_nginx(WORK / "pictures") as origin, tempfile.TemporaryDirectory() as folder:
        list_file = Path(folder, "list.txt")
        list_file.write_text("\n".join(origin.urls(files, 10)) + "\n", "utf-8")
        return _timed(command_of(list_file, Path(folder, "out"), []), Path(folder))


def finished_run_s(rounds: int) -> list[float]:
    """Seconds of the same command on a finished run."""
    with tempfile.TemporaryDirectory() as folder:
        list_file, output = Path(folder, "list.txt"), Path(folder, "out")
        list_file.write_text("\n".join(_urls()) + "\n", "utf-8")
        run_quietly(command_of(list_file, output, ["stages=[partition]"]), Path(folder))
        layout = RunLayout.of(Settings.load(output / "settings.json"))
        for batch in load_batches(layout):
            _finish(layout, batch)
        return [_timed(command_of(list_file, output, []), Path(folder)) for _ in range(rounds)]


def _urls() -> Iterator[str]:
    for number in range(ROWS):
        yield f"http://s{number % SERVERS}.example/{number}.jpg"


def _finish(layout: RunLayout, batch: Batch) -> None:
    folder = BatchFolder(layout.batch_folder(batch.server_name, batch.partition_id))
    inputs = read_batch(layout, batch)
    with Journal(folder.path, "made") as journal:
        journal.add_image(Rows(inputs, range(inputs.num_rows), range(inputs.num_rows)), _IMAGE)
    folder.publish(inputs)


def _timed(command: Sequence[str], folder: Path) -> float:
    started_s = time.monotonic()
    run_quietly(command, folder)
    return time.monotonic() - started_s


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"command to first request: {spread([first_request_s() for _ in range(rounds)])} s")
    print(f"ten URLs, the whole command: {spread([ten_urls_s() for _ in range(rounds)])} s")
    print(f"a finished run of {ROWS:,} rows, {SERVERS:,} servers: {spread(finished_run_s(rounds))} s")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
