"""`mode=plan`: groups are one budget, and everything that a user wants to know on day 0 is in `plan.json`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ray_downloader.config.settings import Settings
from ray_downloader.monitor.plan import planned_load, planned_slots, show_plan
from ray_downloader.pipeline import run
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.schedule.eta import BudgetLoad, eta_s

LIST = """identifier,license,source_id
{rows}
http://a.example/1.jpg,CC0,x
http://a.example/1.jpg,CC0,y
nonsense,CC0,z
"""


def plan_of(folder: Path, urls: list[str], **groups: Any) -> dict[str, Any]:
    path = folder / "list.csv"
    path.write_text(LIST.format(rows="\n".join(f"{url},CC-BY,{number}" for number, url in enumerate(urls))))
    values = {"path_to_input": str(path), "path_to_output": folder / "out", "mode": "plan", **groups}
    assert run(Settings.from_config(values)) == 0
    plan: dict[str, Any] = json.loads((folder / "out" / "plan.json").read_text("utf-8"))
    return plan


def test_the_servers_of_a_group_share_its_time(tmp_path: Path) -> None:
    urls = [f"http://c{host}.staticflickr.com/{n}.jpg" for host in range(10) for n in range(20)]
    rule = {"server": "*.staticflickr.com", "rate_rps": 1, "group": "staticflickr.com"}
    plan = plan_of(tmp_path, urls, politeness={"rules": [rule]})
    assert plan["eta_s"] == 200.0, "not the 20 s of each of its servers"
    assert plan["servers"][0] == {
        "server": "c0.staticflickr.com", "budget": "staticflickr.com", "rows": 20, "rate_rps": 1.0, "eta_s": 200.0,
    }  # fmt: skip
    assert plan["groups"] == {"staticflickr.com": 10}


def test_everything_is_in_the_plan(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ["http://upload.wikimedia.org/1.jpg"], cluster={"num_cpus": 2})
    assert plan["rows"] == {"input": 4, "rejected": 1, "duplicates": 1, "successes": 0, "errors": 0, "left": 3}
    assert plan["rejected_by_reason"] == {"bad_url": 1}
    assert plan["licenses"] == {"CC0": 2, "CC-BY": 1}
    assert plan["read_as"][0].startswith("list.csv read as")
    assert plan["policies"][0]["budget"] == "upload.wikimedia.org"
    assert plan["policies"][0]["source"].startswith("https://lists.wikimedia.org")
    assert (plan["tasks_at_once"], plan["servers_left"]) == (2, 2)
    assert 3 * 10_000 < plan["disk_bytes"] < 3 * 40_000
    text = io.StringIO()
    show_plan(plan, Console(file=text, width=100))
    for part in (
        "a.example",
        "1 duplicates",
        "rejected, bad_url: 1",
        "licence CC-BY: 1",
        "disk: about",
        "published policy",
    ):
        assert part in text.getvalue()


@pytest.mark.parametrize(
    ("groups", "environ", "slots"),
    [
        ({"cluster": {"num_cpus": 3}}, {}, 3),
        ({"cluster": {"num_cpus": 8}, "downloader_parameters": {"workers_per_node": 2}}, {}, 2),
        ({"cluster": {"name": "slurm"}}, {"SLURM_JOB_ID": "1", "SLURM_JOB_CPUS_PER_NODE": "4(x3),2"}, 14),
        ({"cluster": {"num_cpus": 1}, "downloader_parameters": {"cpu_per_worker": 2}}, {}, 1),
    ],
    ids=["cpus", "workers", "slurm", "one"],
)
def test_the_tasks_at_once_are_those_of_this_cluster(
    groups: dict[str, Any], environ: dict[str, str], slots: int
) -> None:
    settings = Settings.from_config({"path_to_input": "a", "path_to_output": "b", **groups})
    assert planned_slots(settings, environ) == slots


def test_a_daily_quota_takes_days() -> None:
    policy = ServerPolicy(start_rate_rps=3.0, ceiling_rps=3.0, max_requests_per_day=1000)
    assert planned_load("a", 1000, policy).eta_s == pytest.approx(1000 / 3)
    assert planned_load("a", 2500, policy).eta_s == pytest.approx(2 * 86_400 + 500 / 3)


def test_the_slowest_budget_or_the_throughput_decides() -> None:
    loads = [BudgetLoad("a", 100, 1.0), BudgetLoad("b", 300, 100.0, wait_s=30.0)]
    assert eta_s(loads, 1000.0) == 100.0
    assert eta_s(loads, 2.0) == 200.0
    assert eta_s([], 1.0) == 0.0
