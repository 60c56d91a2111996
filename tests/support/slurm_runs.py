"""Runs on Slurm: their lists and arguments, and what they asked, settled and left."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from tests.support.job import RunFolder, as_override
from tests.support.log import Seen
from tests.support.running import RunningOrigin
from tests.support.slurm import Job, processes_of, within

DOWNLOADS = r"Ray: \d+ nodes"
DOWNLOAD_ONLY = "stages=[partition,download]"


def arguments(folder: Path, origin: RunningOrigin, name: str, rows: int, rate_rps: float) -> list[str]:
    """Arguments of a run over 20 servers whose names begin with `name`, each asked `rate_rps` times a second."""
    urls = [f"http://{name}-{row % 20}.example/photo/{row}.jpg" for row in range(rows)]
    (folder / f"{name}.txt").write_text("\n".join(urls) + "\n", "utf-8")
    return [
        f"path_to_input={name}.txt", f"path_to_output={name}", "politeness.contact=tests@example.org",
        f"downloader_parameters.default_rate_limit={rate_rps}", "downloader_parameters.rate_multiplier=0",
        f"politeness.max_rate_limit={rate_rps}", "downloader_parameters.batch_size=20",
        "downloader_parameters.pool_below=10",
        "network.allow_private_addresses=true", as_override("network.connect_to", origin.connect_to),
    ]  # fmt: skip


def assert_settled_once(folder: Path, name: str, rows: int) -> None:
    out = RunFolder(folder / name)
    assert out.summary["rows"] == {"input": rows, "rejected": 0, "successes": rows, "errors": 0}
    assert set(out.settled_uuids().values()) == {1}
    assert len(out.settled_uuids()) == rows


def assert_nothing_left(folder: Path, name: str, job: Job, nodes: list[str]) -> None:
    """No process and no token are left, and the log is plain text without Ray's banners."""
    assert not list((folder / name).glob(".ray-token-*"))
    assert processes_of(job, nodes) == ""
    assert not re.search(r"\x1b|Ray runtime started|Traceback", job.log), job.log


def seen_of(origin: RunningOrigin, name: str) -> dict[str, list[Seen]]:
    """Requests for images by server, of a run whose servers begin with `name`."""
    seen: dict[str, list[Seen]] = defaultdict(list)
    for request in origin.seen():
        if request.host.startswith(f"{name}-") and request.target != "/robots.txt":
            seen[request.host].append(request)
    return seen


def requests_of(origin: RunningOrigin, name: str) -> int:
    return sum(map(len, seen_of(origin, name).values()))


def wait_for_requests(origin: RunningOrigin, name: str, count: int) -> None:
    """Until a run has made `count` further requests."""
    wanted = requests_of(origin, name) + count
    within(90, lambda: requests_of(origin, name) >= wanted, f"{wanted} requests")
