"""`python -m ray_downloader.control OUT pause|resume|rate|ban SERVER [VALUE]`: steer a running job, without a port.

The order is a line in a file of the run folder; the driver reads it within a second and tells the server's actor.
Nothing runs at present: the order waits for the next run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ray_downloader.errors import ExitCode, UserError
from ray_downloader.layout import RunLayout
from ray_downloader.settings import Settings

ORDERS = ("pause", "resume", "rate", "ban")


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """What the operator wants of one server.

    Args:
        value: Requests/s, for `rate`.
    """

    action: str
    server: str
    value: float | None = None


class OrderFile:
    """The orders of a run, one JSON line each; only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def append(self, order: ServerOrder) -> None:
        """Give an order."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(order), "given_at_unix_s": time.time()}) + "\n")

    def new(self) -> list[ServerOrder]:
        """Orders given since the last call (all, at first)."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            whole_lines = file.read().rpartition(b"\n")
        self._read_bytes += len(whole_lines[0]) + len(whole_lines[1])
        orders = [json.loads(line) for line in whole_lines[0].splitlines()]
        return [ServerOrder(order["action"], order["server"], order["value"]) for order in orders]


def main(arguments: Sequence[str] | None = None) -> int:
    """Give one order; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ray_downloader.control", description="Steer a running job; takes effect within 5 s."
    )
    parser.add_argument("out", type=Path, help="run folder (path_to_output)")
    parser.add_argument("action", choices=ORDERS)
    parser.add_argument("server", help="canonical server name, or the name of a group")
    parser.add_argument("value", type=float, nargs="?", help="requests per second, for rate")
    given = parser.parse_args(arguments)
    try:
        _give(given.out, ServerOrder(given.action, given.server.lower(), given.value))
    except UserError as error:
        print(f"ray_downloader.control: {error}", file=sys.stderr)  # noqa: T201
        return ExitCode.USAGE
    return ExitCode.SETTLED


def _give(out: Path, order: ServerOrder) -> None:
    if order.action == "rate" and not (order.value and order.value > 0):
        raise UserError("rate needs a value: requests per second, more than 0")
    if order.action != "rate" and order.value is not None:
        raise UserError(f"{order.action} takes no value")
    layout = RunLayout.of(Settings.load(out / "settings.json"))
    OrderFile(layout.orders_file).append(order)


if __name__ == "__main__":
    sys.exit(main())
