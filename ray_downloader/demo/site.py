"""The demo as the pipeline sees it: an input folder, and the addresses of servers that run as long as it needs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.demo.listing import REJECTED_ODDITIES, listed_rows, write_archive
from ray_downloader.demo.scenario import EXPECTED_KINDS, SERVERS, DemoServer
from ray_downloader.processes import end_by_input

_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class DemoSite:
    """A running demo.

    Args:
        path_to_input: Folder with `multimedia.txt` and `occurrence.txt`.
        connect_to: For `network.connect_to`: maps "host:port" in the list to the loopback "host:port" of the server.
        servers: All servers, with what each demonstrates.
    """

    path_to_input: Path
    connect_to: Mapping[str, str]
    servers: tuple[DemoServer, ...] = SERVERS


@contextmanager
def running_demo(folder: Path) -> Iterator[DemoSite]:
    """Write the list below `folder`, and run the origin servers for the duration of a `with` block.

    The servers stop with the block, and also if this process is killed: they watch a pipe to it.

    Raises:
        RuntimeError: The servers did not start.
    """
    path_to_input = write_archive(folder / "gbif")
    # In a session of its own: Ctrl-C drains the run, which needs its servers until it has ended.
    process = subprocess.Popen(
        [sys.executable, "-m", "ray_downloader.demo.origin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield DemoSite(path_to_input, _announced_addresses(process))
        finally:
            end_by_input(process, _STOP_TIMEOUT_S)


def expected_results() -> tuple[Counter[str], Counter[str]]:
    """The results of a correct run of the demo: rows by error kind ("" for a success), and rejected rows by reason."""
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for row in listed_rows():
        if row.oddity in REJECTED_ODDITIES:
            reasons[REJECTED_ODDITIES[row.oddity]] += 1
        else:
            kinds[str(EXPECTED_KINDS.get(row.fault, ""))] += 1
    return kinds, reasons


def _announced_addresses(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the demo's servers did not start (exit code {process.wait(_STOP_TIMEOUT_S)})")
    addresses: dict[str, str] = json.loads(line)
    return addresses
