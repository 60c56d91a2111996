"""Our law beside those of others, at servers whose limit is known: `python -m benchmarks.politeness`.

Every client runs on two nodes: ours as two worker tasks that share one budget, the others as two processes that, as in
their own deployments, know nothing of each other. Prints one table and draws the rate over time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.environments import IMG2DATASET, PeerMissingError, environment
from benchmarks.politeness.behaviours import LIMIT_RPS
from benchmarks.politeness.client import run_laws
from benchmarks.politeness.laws import (
    AdaptiveTokenBucket,
    AssistedTokenBuckets,
    AutoThrottle,
    DistributedDownloader,
    FixedRate,
    Law,
)
from benchmarks.politeness.measure import Figures
from benchmarks.politeness.peer import run_peer
from benchmarks.politeness.picture import draw
from benchmarks.politeness.running import Request, RunningOrigin, run_program, running_origin

SERVERS = ("healthy", "retry-after", "bare-429", "busy-503", "latency", "ban", "drip")
NODES = 2
#: Where those that learn their rate begin.
START_RPS = 10.0
CONNECTIONS = 16
#: Name, law of one node, and the ceiling that is configured (None: there is none). Whoever sets a fixed rate divides
#: it by the number of nodes; distributed-downloader's window is one process's, and nothing divides it.
LAWS: dict[str, tuple[Callable[[], Law], float | None]] = {
    "half": (lambda: FixedRate(LIMIT_RPS / 2 / NODES), LIMIT_RPS / 2),
    "at": (lambda: FixedRate(LIMIT_RPS / NODES), LIMIT_RPS),
    "above": (lambda: FixedRate(2 * LIMIT_RPS / NODES), 2 * LIMIT_RPS),
    "dd": (DistributedDownloader, 18.0),
    "autothrottle": (AutoThrottle, None),
    "atb": (lambda: AdaptiveTokenBucket(START_RPS / NODES), None),
    "aatb": (AssistedTokenBuckets(START_RPS, NODES), None),
}
PEER_THREADS = 16
PEER_ROWS = 400
PEER_SECONDS = 15.0
HEALTHY_CEILING_RPS = 30.0
CEILING_RPS = 200.0

Key = tuple[str, str]


def run_ours(origin: RunningOrigin, seconds: float) -> None:
    """The real program: told 10/s to start and 200/s as ceiling; two hosts a server, so that both tasks hold each."""
    rows = int(seconds * LIMIT_RPS * 0.7)
    urls = [
        f"http://n{node}.{name}.ours.example/{row}.jpg" for row in range(rows) for name in SERVERS for node in (0, 1)
    ]
    groups = [f'{{server:"*.{name}.ours.example",group:"{name}.ours.example"}}' for name in SERVERS[1:]]
    healthy = f'{{server:"*.healthy.ours.example",group:healthy.ours.example,rate_rps:{HEALTHY_CEILING_RPS}}}'
    arguments = [
        f"politeness.rules=[{','.join([healthy, *groups])}]", f"politeness.max_connections={CONNECTIONS}",
        f"downloader_parameters.default_rate_limit={START_RPS}", f"politeness.max_rate_limit={CEILING_RPS}",
        "downloader_parameters.batch_size=500",
    ]  # fmt: skip
    run_program(origin, urls, arguments, seconds)


def run_others(origin: RunningOrigin, seconds: float) -> None:
    """The laws that are written down here."""
    hosts = {f"{server}.{name}.example": law for name, (law, _) in LAWS.items() for server in SERVERS}
    asyncio.run(run_laws(origin.port, hosts, NODES, seconds))


def run_img2dataset(origin: RunningOrigin, folder: Path) -> None:
    """The real one, with 16 threads a process: server after server, as a slow one would hold up all its threads."""
    program = environment(folder, [IMG2DATASET]).with_name("img2dataset")
    for server in SERVERS:
        base = f"http://127.0.0.1:{origin.port}/n0.{server}.img2dataset.example"
        run_peer(program, [f"{base}/{row}.jpg" for row in range(PEER_ROWS)], NODES, PEER_THREADS, PEER_SECONDS)


def by_server(log: Iterable[Request]) -> dict[Key, list[Request]]:
    """What each client asked each server: (client, server) -> requests."""
    logs: dict[Key, list[Request]] = defaultdict(list)
    for entry in log:
        server, client, _ = entry.server.split(".")
        logs[client, server].append(entry)
    return logs


def ceiling_of(client: str, server: str) -> float | None:
    """What a client was configured to send at most."""
    if client == "ours":
        return HEALTHY_CEILING_RPS if server == "healthy" else CEILING_RPS
    return LAWS[client][1] if client in LAWS else None


def table(logs: dict[Key, list[Request]]) -> str:
    """One row a client and server, as Markdown."""
    rows = [
        "| server | client | goodput, share of 30/s | after settling | settled after | refusals per 1,000 images "
        "| requests per image | peak of 1 s over the ceiling |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (client, server), log in sorted(logs.items(), key=lambda item: (SERVERS.index(item[0][1]), item[0][0])):
        it = Figures.of(log, ceiling_of(client, server))
        settled = "-" if it.settle_s is None else f"{it.settle_s:.0f} s"
        peak = "no ceiling" if it.peak is None else f"{it.peak:.2f}"
        share = f"{it.settled_share:.2f}" if it.settle_s is not None else "-"
        rows.append(
            f"| {server} | {client} | {it.share:.2f} | {share} | {settled} | {it.refusals:.1f} "
            f"| {it.requests:.2f} | {peak} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90.0, help="of our program; the others get 0.4 of it")
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_name("rate.svg"))
    parser.add_argument("--peer-folder", type=Path, default=Path(__file__).parents[1] / "work" / "img2dataset")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    with running_origin() as origin:
        run_ours(origin, arguments.seconds)
        run_others(origin, arguments.seconds * 0.4)
        try:
            run_img2dataset(origin, arguments.peer_folder)
        except PeerMissingError as error:
            print(f"without img2dataset: {error}")
        logs = by_server(origin.log())
    print(table(logs))
    draw(logs, arguments.picture)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
