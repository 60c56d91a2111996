"""What a run asks of the resolver: `python -m benchmarks.speed.names [list of URLs]`, on Linux, as root.

The program runs in a mount namespace of its own whose `/etc/resolv.conf` names a counting resolver. Each host of the
list (else 4,396 made ones) gets a few rows at one nginx; a quarter of the names does not exist.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.speed.origin import Origin, running_nginx
from benchmarks.speed.ours import command_of, run_quietly
from benchmarks.speed.peers.run import WORK
from benchmarks.speed.pictures import make_pictures
from benchmarks.speed.resolver import Queries, counting_resolver

#: An address of loopback that no other resolver uses.
RESOLVER = "127.53.0.53"
HOSTS, ROWS_PER_HOST = 4_396, 3


def hosts_of(list_file: Path | None) -> list[str]:
    """Names of the list, a quarter of them made names that do not exist."""
    if list_file is None:
        names = [f"host{number}.example" for number in range(HOSTS)]
    else:
        names = sorted({urlsplit(line).hostname or "" for line in list_file.read_text("utf-8").split()} - {""})
    return [f"gone-{name}" if number % 4 == 0 else name for number, name in enumerate(names)]


def run(origin: Origin, hosts: list[str], files: list[Path]) -> Queries:
    """Download the list; what the resolver was asked."""
    port = origin.base_url.rpartition(":")[2]
    urls = [f"http://{host}:{port}/{row}/{files[0].name}" for host in hosts for row in range(ROWS_PER_HOST)]
    with tempfile.TemporaryDirectory() as folder, counting_resolver(RESOLVER) as queries:
        list_file, configuration = Path(folder, "list.txt"), Path(folder, "resolv.conf")
        list_file.write_text("\n".join(urls) + "\n", "utf-8")
        configuration.write_text(f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n")
        inside = f'mount --bind "{configuration}" /etc/resolv.conf && exec "$@"'
        overrides = ["politeness=polite", "politeness.robots=ignore", "politeness.contact=benchmark@example.org"]
        command = command_of(list_file, Path(folder, "out"), overrides)
        run_quietly(["unshare", "--mount", "sh", "-c", inside, "sh", *command], Path(folder))
    return queries


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", nargs="?", type=Path)
    hosts = hosts_of(parser.parse_args().list)
    files = make_pictures(WORK / "pictures")["thumb"]
    with running_nginx(WORK / "pictures") as origin:
        queries = run(origin, hosts, files)
    wanted = set(hosts)
    asked = Counter((name, kind) for _, name, kind in queries.asked if name in wanted)
    per_second = Counter(int(at_s) for at_s, _, __ in queries.asked)
    again = Counter(name.startswith("gone") for (name, _), times in asked.items() for _ in range(times - 1))
    print(
        f"{len(wanted)} names, {ROWS_PER_HOST} rows each: {asked.total() / len(wanted):.2f} queries a name "
        f"(A and AAAA), asked again: {again[False]} that exist, {again[True]} that do not; "
        f"other names: {len(queries.asked) - asked.total()}; at most {max(per_second.values())}/s; "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
