"""One server of a run: its rows according to its batches, and what was learned about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_downloader.config.settings import Settings
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition.batches import load_batches
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.run_folder.known_servers import KnownServers
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import load_retry_order
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.run_folder.server_states import load_server_states
from ray_downloader.run_folder.small_tables import read_small_table
from ray_downloader.schedule.run_status import scan


def server_status(layout: RunLayout, name: str, waiting: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is known about a server of the run.

    Args:
        name: The server, in any spelling, or a group.
        waiting: The servers that wait now.

    Raises:
        UserError: The run has no such server; the message names similar ones.
    """
    settings = Settings.load(layout.settings_file)
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, load_profiled_rates(layout))
    server = KnownServers.of_run(layout, policies).find(name)
    budget = policies.budget_key(server)
    rows = _rows_of(layout, lambda host: server in {host, policies.budget_key(host)})
    batches = [batch for batch in load_batches(layout) if batch.server_name in {*rows, POOLED}]
    settled = scan(layout, batches, load_retry_order(layout)).settled
    kinds: Counter[str] = sum((settled.get(host, Counter()) for host in rows), Counter())
    total = sum(rows.values())
    state = load_server_states(layout).get(budget, {})
    return {
        "server": server,
        "budget": budget,
        "rows": {
            "input": total,
            "successes": kinds[SUCCESS],
            "errors": kinds.total() - kinds[SUCCESS],
            "left": total - kinds.total(),
        },
        "errors_by_kind": dict(sorted((kind, rows) for kind, rows in kinds.items() if kind != SUCCESS)),
        "rate_rps": state.get("rate_rps") or policies.policy(budget).start_rate_rps,
        "ceiling_rps": state.get("ceiling_rps") or policies.policy(budget).ceiling_rps,
        "waiting": next((dict(wait) for wait in waiting if wait["server"] == budget), None),
        "learned": state,
    }


def _rows_of(layout: RunLayout, is_meant: Callable[[str], bool]) -> dict[str, int]:
    """Rows of the list by server: for one server, or for all servers of a group."""
    table = read_small_table(layout.servers_table, ["server_name", "rows"])
    rows = zip(table["server_name"].to_pylist(), table["rows"].to_pylist(), strict=True)
    return {server: count for server, count in rows if is_meant(server)}


def server_text(status: Mapping[str, Any]) -> str:
    """The same in words."""
    rows, wait = status["rows"], status["waiting"]
    shared = f" (budget of {status['budget']})" if status["budget"] != status["server"] else ""
    rate = f"{status['rate_rps']:g} requests/s" if status["rate_rps"] else "no limit"
    lines = [
        f"server   {status['server']}{shared}",
        f"rows     {rows['input']}: {rows['successes']} images, {rows['errors']} errors, {rows['left']} left",
        f"rate     {rate}",
    ]
    if status["errors_by_kind"]:
        lines.append("errors   " + ", ".join(f"{kind} {count}" for kind, count in status["errors_by_kind"].items()))
    if wait:
        lines.append(f"waits    {wait['reason']}" + (f" until {wait['until']}" if wait["until"] else ""))
    learned = status["learned"]
    if learned:
        said = f" ({learned['said']})" if learned.get("said") else ""
        asked = (
            f", {learned['requests']} requests, {learned.get('successes', 0)} files" if "requests" in learned else ""
        )
        lines.append(f"state    {learned.get('condition', 'unknown')}{said}{asked}; --json has all that was learned")
    return "\n".join(lines)
