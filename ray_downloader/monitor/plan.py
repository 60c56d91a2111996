"""`mode=plan`: what a download will be like, before an image is fetched: `plan.json` and a table."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from ray_downloader.config.settings import Settings
from ray_downloader.machine import usable_cpus
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition import load_partition_summary
from ray_downloader.partition.batches import load_batches
from ray_downloader.partition.summary import PartitionSummary
from ray_downloader.politeness.policy import PolicyBook, ServerPolicy
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.base_runs import load_base_plan
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import load_retry_order
from ray_downloader.run_folder.small_tables import read_small_table
from ray_downloader.schedule.eta import BudgetLoad, eta_s
from ray_downloader.schedule.planner import CORE_RPS
from ray_downloader.schedule.run_status import RunStatus, scan
from ray_downloader.slurm.allocation import Allocation

SHOWN_SERVERS = 30
SHOWN_LICENSES = 10
#: Servers in `plan.json`: those that take longest. A list may have 10^6.
MOST_SERVERS = 10_000
MOST_LICENSES = 1_000
#: Bytes of an image as servers deliver it, where nothing is known: the mean of lists of museums (0.3 to 1 MB).
ASSUMED_IMAGE_BYTES = 500_000
#: Bytes per pixel of what is stored. JPEG and WebP of photographs at quality 95; less quality takes less.
_BYTES_PER_PIXEL = {"jpeg": 0.5, "webp": 0.4, "png": 1.8, "raw": 3.0}
#: Height / width of a usual picture, whose longer side becomes `image_size`.
_ASPECT = 0.75
#: Bytes of a row apart from its picture: the other columns of `successes.parquet`, compressed.
_ROW_BYTES = 250
_DAY_S = 86_400.0


def planned_slots(settings: Settings, environ: Mapping[str, str]) -> int:
    """How many worker tasks will run at once, as far as that is known before Ray runs."""
    parameters, cluster = settings.downloader_parameters, settings.cluster
    allocation = Allocation.from_environ(environ) if cluster.name == "slurm" else None
    cpus = list(allocation.cpus) if allocation else [cluster.num_cpus or usable_cpus(environ)]
    per_node = [
        min(int(count / parameters.cpu_per_worker), parameters.workers_per_node or count)
        for count in cpus[: parameters.max_nodes]
    ]
    return max(1, sum(per_node))


def make_plan(settings: Settings, layout: RunLayout, environ: Mapping[str, str]) -> dict[str, Any]:
    """The document of `plan.json`, for what is left of a partitioned list."""
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, load_profiled_rates(layout))
    partition = load_partition_summary(layout)
    status = scan(layout, load_batches(layout), load_retry_order(layout))
    base = load_base_plan(layout) if settings.base else None
    reused = base.rows if base and not settings.refetch else {}
    rows_left = _rows_left(layout, status, reused)
    rows_by_budget: Counter[str] = Counter()
    for server, rows in rows_left.items():
        rows_by_budget[policies.budget_key(server)] += rows
    loads = {budget: planned_load(budget, rows, policies.policy(budget)) for budget, rows in rows_by_budget.items()}
    slots = planned_slots(settings, environ)
    facts = _facts_of_rows(layout)
    servers = sorted(rows_left, key=lambda name: (-loads[policies.budget_key(name)].eta_s, -rows_left[name], name))
    return {
        "rows": {**_rows(partition, status, facts.duplicates), "left": sum(rows_left.values())},
        **({"base": {"rows": base.total, "vanished": base.vanished, "refetch": base.refetch}} if base else {}),
        "rejected_by_reason": dict(sorted(partition.rejected_by_reason.items())),
        "dataset": partition.dataset,
        "read_as": list(partition.read_as),
        "servers": [
            _server(name, rows_left[name], loads[policies.budget_key(name)]) for name in servers[:MOST_SERVERS]
        ],
        "servers_total": partition.servers,
        "servers_left": len(servers),
        "groups": _groups(rows_left, policies),
        "policies": _policies(rows_left, policies),
        "licenses": dict(facts.licenses.most_common(MOST_LICENSES)),
        "tasks_at_once": slots,
        "rows_per_s_of_cluster": slots * CORE_RPS,
        "eta_s": round(eta_s(loads.values(), slots * CORE_RPS), 1),
        "disk_bytes": _disk_bytes(settings, sum(rows_left.values())),
    }


def write_plan(plan: Mapping[str, Any], layout: RunLayout) -> None:
    """Write `plan.json`."""
    write_text(layout.plan_file, json.dumps(plan, indent=1, ensure_ascii=False) + "\n")


def _rows_left(layout: RunLayout, status: RunStatus, reused: Mapping[str, int]) -> dict[str, int]:
    """Rows that need a request, by server.

    Args:
        reused: Those that will be taken from earlier runs; some may be settled already.
    """
    table = read_small_table(layout.servers_table, ["server_name", "rows"])
    left = {
        server: rows - max(status.settled[server].total() if server in status.settled else 0, reused.get(server, 0))
        for server, rows in zip(table["server_name"].to_pylist(), table["rows"].to_pylist(), strict=True)
    }
    return {server: rows for server, rows in left.items() if rows > 0}


def _rows(partition: PartitionSummary, status: RunStatus, duplicates: int) -> dict[str, int]:
    kinds = status.by_kind
    return {
        "input": partition.input_rows,
        "rejected": partition.input_rows - partition.accepted_rows,
        "duplicates": duplicates,
        "successes": kinds[SUCCESS],
        "errors": kinds.total() - kinds[SUCCESS],
        "left": partition.accepted_rows - kinds.total(),
    }


def planned_load(budget: str, rows: int, policy: ServerPolicy) -> BudgetLoad:
    """What is left for a budget: at its first rate, and no more than its limits for seconds and days allow.

    An amount for a day may be used at once, so only what exceeds the first day's takes further days.
    """
    rate_rps = policy.start_rate_rps or math.inf
    if policy.max_bytes_per_s:
        rate_rps = min(rate_rps, policy.max_bytes_per_s / ASSUMED_IMAGE_BYTES)
    daily = min(policy.max_requests_per_day or math.inf, (policy.max_bytes_per_day or math.inf) / ASSUMED_IMAGE_BYTES)
    whole_days = math.ceil(rows / daily) - 1 if math.isfinite(daily) else 0
    if whole_days > 0:
        last_rows = rows - whole_days * daily
        rate_rps = rows / max(whole_days * _DAY_S + last_rows / rate_rps, rows / rate_rps)
    return BudgetLoad(budget, rows, rate_rps)


def _server(name: str, rows: int, load: BudgetLoad) -> dict[str, Any]:
    """A server of `plan.json`; a budget's time is that of all its servers, as they share it."""
    rate_rps = round(load.rate_rps, 6) if math.isfinite(load.rate_rps) else None
    return {"server": name, "budget": load.budget, "rows": rows, "rate_rps": rate_rps, "eta_s": round(load.eta_s, 1)}


def _groups(servers: Iterable[str], policies: PolicyBook) -> dict[str, int]:
    """Groups of the list, and how many of its servers belong to each."""
    budgets = Counter(policies.budget_key(server) for server in servers)
    return {budget: count for budget, count in sorted(budgets.items()) if budget in policies.groups}


def _policies(servers: Iterable[str], policies: PolicyBook) -> list[dict[str, Any]]:
    """Published limits that apply, with where they were published."""
    found = []
    for budget in sorted({policies.budget_key(server) for server in servers}):
        policy = policies.policy(budget)
        if policy.source:
            limits = {
                "rate_rps": policy.start_rate_rps,
                "max_connections": policy.max_connections,
                "max_bytes_per_s": policy.max_bytes_per_s,
                "max_bytes_per_day": policy.max_bytes_per_day,
                "max_requests_per_day": policy.max_requests_per_day,
            }
            given = {name: value for name, value in limits.items() if value is not None}
            found.append({"budget": budget, **given, "source": policy.source})
    return found


@dataclass(frozen=True, slots=True)
class _RowFacts:
    """What one look at all rows tells.

    Args:
        duplicates: Rows whose URL another row has already; it is fetched once.
        licenses: Rows by licence, as the list writes it; "" for none.
    """

    duplicates: int
    licenses: Counter[str]


def _facts_of_rows(layout: RunLayout) -> _RowFacts:
    """Rows are sorted by server and URL, so equal URLs are neighbours, within one batch."""
    duplicates = 0
    licenses: Counter[str] = Counter()
    for path in sorted({layout.urls / batch.file for batch in load_batches(layout)}):
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=["identifier", "license"]).combine_chunks()
                duplicates += _repeated(rows["identifier"])
                for item in pc.value_counts(rows["license"]).to_pylist():
                    licenses[item["values"] or ""] += item["counts"]
    return _RowFacts(duplicates, licenses)


def _repeated(urls: pa.ChunkedArray) -> int:
    if len(urls) < 2:
        return 0
    return int(pc.sum(pc.equal(urls.slice(1), urls.slice(0, len(urls) - 1))).as_py() or 0)


def _disk_bytes(settings: Settings, rows: int) -> int:
    """What the images of these rows will take, if every row has one."""
    image, size = settings.image, settings.downloader_parameters.image_size
    if image.encode == "original":
        return rows * (ASSUMED_IMAGE_BYTES + _ROW_BYTES)
    pixels = size * size * (_ASPECT if image.resize == "keep_ratio_longest" else 1.0)
    if image.resize == "keep_ratio_shortest":
        pixels = size * size / _ASPECT
    per_pixel = _BYTES_PER_PIXEL[image.encode]
    if image.encode in {"jpeg", "webp"}:
        per_pixel *= _share_of_quality(image.quality)
    return round(rows * (pixels * per_pixel + _ROW_BYTES))


def _share_of_quality(quality: int) -> float:
    """Size of a JPEG relative to one of quality 95: halves with every 12 points, and grows faster above."""
    return float(2 ** ((quality - 95) / 12)) if quality <= 95 else 1.0 + (quality - 95) * 0.2


def show_plan(document: Mapping[str, Any], console: Console) -> None:
    """Print the servers that take longest, and the sums."""
    servers = document["servers"]
    table = Table("server", "budget", title="plan")
    for column in ("rows", "requests/s", "time"):
        table.add_column(column, justify="right")
    for entry in servers[:SHOWN_SERVERS]:
        budget = entry["budget"] if entry["budget"] != entry["server"] else ""
        rate = f"{entry['rate_rps']:g}" if entry["rate_rps"] else "no limit"
        table.add_row(entry["server"], budget, f"{entry['rows']:,}", rate, duration(entry["eta_s"]))
    if document["servers_left"] > SHOWN_SERVERS:
        table.add_row(f"... {document['servers_left'] - SHOWN_SERVERS} more", "", "", "", "")
    console.print(table)
    for line in plan_lines(document):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def plan_lines(document: Mapping[str, Any]) -> list[str]:
    """The plan apart from its table, in sentences."""
    rows = document["rows"]
    lines = list(document["read_as"])
    lines.append(
        f"{rows['input']} rows: {rows['left']} to download from {document['servers_left']} servers, "
        f"{rows['rejected']} rejected, {rows['duplicates']} duplicates (one request for equal URLs)"
        + (f", {rows['successes'] + rows['errors']} settled already" if rows["successes"] + rows["errors"] else "")
    )
    if "base" in document:
        lines.append(_base_line(document["base"]))
    for reason, count in sorted(document["rejected_by_reason"].items(), key=lambda item: -item[1]):
        lines.append(f"  rejected, {reason}: {count}")
    for group, count in document["groups"].items():
        lines.append(f"  group {group}: {count} servers share one budget")
    for policy in document["policies"]:
        limits = ", ".join(f"{name} {value:g}" for name, value in policy.items() if name not in {"budget", "source"})
        lines.append(f"  published policy of {policy['budget']}: {limits} ({policy['source']})")
    licenses = list(document["licenses"].items())
    for name, count in licenses[:SHOWN_LICENSES]:
        lines.append(f"  licence {name or '(none stated)'}: {count}")
    if len(licenses) > SHOWN_LICENSES:
        lines.append(f"  {len(licenses) - SHOWN_LICENSES} more licences in plan.json")
    lines.append(f"disk: about {document['disk_bytes'] / 1e9:.1f} GB if every row has an image")
    lines.append(
        f"time: about {duration(document['eta_s'])} with {document['tasks_at_once']} tasks at once, at these rates; "
        "rates rise or fall with what servers allow, and a profile stage measures them first"
    )
    return lines


def _base_line(base: Mapping[str, Any]) -> str:
    how = "asked about, as refetch=changed" if base["refetch"] else "taken without a request"
    return (
        f"  base: {base['rows']} rows are {how}; {base['vanished']} rows of earlier runs are not in the list any more"
    )


def duration(seconds: float) -> str:
    """A time in words that fit a column."""
    return str(timedelta(seconds=round(seconds)))
