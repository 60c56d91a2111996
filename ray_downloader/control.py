"""`python -m ray_downloader.control OUT list|pause|resume|rate|ban [SERVER [VALUE]]`: steer a job, without a port.

The order is a line in a file of the run folder; the driver reads it within a second and passes it to the server's
actor. While nothing runs, the order waits for the next run. A host of a group may be paused, resumed or banned
separately; the rate is always the group's.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from ray_downloader.config.options import OneSentenceParser
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.monitor.run_report import read_report
from ray_downloader.monitor.waiting import iso_time
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.run_folder.file_errors import file_error
from ray_downloader.run_folder.known_servers import KnownServers
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import OrderFile, ServerOrder, in_force
from ray_downloader.run_folder.server_states import load_server_states
from ray_downloader.run_folder.small_tables import read_small_table
from ray_downloader.stores.reading import work_folder_of

ORDERS = ("pause", "resume", "rate", "ban")
#: What each order means for a server.
_MEANING = {
    "pause": "it gets no request until it is resumed",
    "resume": "it gets requests again",
    "ban": "its rows end as ignored_server",
}
#: Servers in the list; a run may have 10^6.
SHOWN_SERVERS = 1_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Give one order, or list those in force; returns the exit code."""
    parser = OneSentenceParser(
        prog="python -m ray_downloader.control", description="Steer a running job; takes effect within 5 s."
    )
    parser.add_argument("out", help="run folder or URL (path_to_output)")
    parser.add_argument(
        "action", choices=("list", *ORDERS), help="list: the orders in force, and the servers of the run"
    )
    parser.add_argument("server", nargs="?", help="a server, in any spelling, or the name of a group")
    parser.add_argument("value", type=float, nargs="?", help="requests per second, for rate")
    given = parser.parse_args(arguments)
    folder = Path(given.out)
    try:
        folder = work_folder_of(given.out)
        said = _list(given, folder) if given.action == "list" else _give(given, folder)
    except UserError as error:
        print(f"ray_downloader.control: {error}", file=sys.stderr)  # noqa: T201
        return ExitCode.USAGE
    except OSError as error:
        told = file_error(error, folder)
        if told is None:
            raise
        print(f"ray_downloader.control: {told}", file=sys.stderr)  # noqa: T201
        return ExitCode.FAILED
    print(said)  # noqa: T201
    return ExitCode.SETTLED


def _give(given: argparse.Namespace, folder: Path) -> str:
    """Write the order; returns a sentence about what it means and when it takes effect."""
    action, value = given.action, given.value
    if given.server is None:
        raise UserError(f"{action} needs a server: python -m ray_downloader.control {given.out} {action} SERVER")
    if action == "rate" and not (value and value > 0 and math.isfinite(value)):
        raise UserError("rate needs a value: requests per second, more than 0")
    if action != "rate" and value is not None:
        raise UserError(f"{action} takes no value")
    settings = Settings.load(folder / "settings.json")
    layout = RunLayout.of(settings.model_copy(update={"path_to_output": folder}))
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, load_profiled_rates(layout))
    server = KnownServers.of_run(layout, policies).find(given.server)
    group = policies.budget_key(server)
    target = group if action == "rate" else server
    OrderFile(layout.orders_file).append(ServerOrder(action, target, value))
    return f"{_sentence(action, server, group, value)}; {_when(layout)}"


def _sentence(action: str, server: str, group: str, value: float | None) -> str:
    meaning = _MEANING.get(action, "")
    if action == "rate" and group != server:
        return f"rate {group} {value:g} requests/s: {server} shares its budget, so the rate is the group's"
    if action == "rate":
        return f"rate {server} {value:g} requests/s at most, from the whole cluster"
    if group != server:
        return f"{action} {server}: {meaning}; this host only, the others of the group {group} continue"
    return f"{action} {server}: {meaning}"


def _when(layout: RunLayout) -> str:
    """When an order takes effect: depends on whether a job runs."""
    report = read_report(layout.progress_file)
    is_running = report is not None and report.get("state") in {"running", "draining"}
    return "the running job obeys within 5 s" if is_running else "no job runs here now, and the next one obeys"


def _list(given: argparse.Namespace, folder: Path) -> str:
    if given.server is not None:
        raise UserError("list takes no server: it shows all orders in force and all servers")
    settings = Settings.load(folder / "settings.json")
    layout = RunLayout.of(settings.model_copy(update={"path_to_output": folder}))
    orders = [order for order in in_force(OrderFile(layout.orders_file).new()) if order.action != "resume"]
    lines = [
        f"{order.action} {order.server}{f' {order.value:g} requests/s' if order.value else ''}"
        f" (since {iso_time(order.given_at_unix_s)})"
        for order in orders
    ]
    return "\n".join([*(lines or ["no orders are in force"]), "", *_servers(settings, layout)])


def _servers(settings: Settings, layout: RunLayout) -> list[str]:
    """The servers of the run, those with the most rows first, with what is known about their budgets."""
    if not layout.servers_table.exists():
        return ["no servers are known before the partition stage has ended"]
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, load_profiled_rates(layout))
    learned = load_server_states(layout)
    table = read_small_table(layout.servers_table, ["server_name", "rows"]).sort_by(
        [("rows", "descending"), ("server_name", "ascending")]
    )
    shown = table.slice(0, SHOWN_SERVERS)
    lines = [f"{table.num_rows} servers:"]
    for server, rows in zip(shown["server_name"].to_pylist(), shown["rows"].to_pylist(), strict=True):
        budget = policies.budget_key(server)
        state = learned.get(budget, {})
        rate_rps = state.get("rate_rps") or policies.policy(budget).start_rate_rps
        facts = [f"{rows} rows", f"{rate_rps:.3g} requests/s" if rate_rps else "no limit"]
        facts += [f"budget of {budget}"] if budget != server else []
        facts += [state["condition"]] if state.get("condition") not in {None, "healthy"} else []
        lines.append(f"{server}  {', '.join(facts)}")
    if table.num_rows > SHOWN_SERVERS:
        lines.append(f"{table.num_rows - SHOWN_SERVERS} more: {layout.servers_table} has all")
    return lines


if __name__ == "__main__":
    sys.exit(main())
