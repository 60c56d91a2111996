"""`python -m ray_downloader.control OUT pause|resume|rate|ban SERVER [VALUE]`: steer a running job, without a port.

The order is a line in a file of the run folder; the driver reads it within a second and tells the server's actor.
Nothing runs at present: the order waits for the next run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import OrderFile, ServerOrder

ORDERS = ("pause", "resume", "rate", "ban")


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
