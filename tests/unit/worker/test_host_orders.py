"""An order for one host of a group concerns that host alone, and holds over restarts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ray_downloader.config.settings import DownloaderParameters, PolitenessSettings
from ray_downloader.politeness.messages import LeaseRequest, Verdict, WaitReason
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.run_folder.instants import SAVED_AT
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.worker.budgets import Budgets
from tests.unit.worker.worker_run import Run

GROUP = "staticflickr.com"
POLICIES = PolicyBook(PolitenessSettings(), DownloaderParameters(), {})
URLS = [f"http://{host}.{GROUP}/{n}.jpg" for host in ("c1", "c2") for n in range(30)]


def asked(budgets: Budgets, budget: str) -> tuple[Verdict, dict[str, Verdict]]:
    reply = budgets.lease([LeaseRequest(budget, "task", wanted=1)])
    return reply.leases[0].verdict, dict(reply.hosts)


def test_a_ban_of_one_host_leaves_the_group_alone() -> None:
    budgets = Budgets(POLICIES)
    budgets.order(ServerOrder("ban", f"c1.{GROUP}"))
    assert asked(budgets, GROUP) == (Verdict.OPEN, {f"c1.{GROUP}": Verdict.BANNED})
    budgets.order(ServerOrder("resume", f"c1.{GROUP}"))
    assert asked(budgets, GROUP) == (Verdict.OPEN, {})
    budgets.order(ServerOrder("ban", GROUP))
    assert asked(budgets, GROUP)[0] is Verdict.BANNED


def test_the_rate_of_a_host_is_that_of_its_group() -> None:
    budgets = Budgets(POLICIES)
    budgets.order(ServerOrder("rate", f"c1.{GROUP}", 0.25))
    assert budgets.snapshots()[GROUP]["rate_rps"] == 0.25


def test_a_paused_host_is_seen_to_wait() -> None:
    budgets = Budgets(POLICIES)
    budgets.order(ServerOrder("pause", f"c1.{GROUP}"))
    assert budgets.waiting()[f"c1.{GROUP}"].reason is WaitReason.PAUSED_BY_OPERATOR


@pytest.mark.parametrize("server", ["a.org", GROUP])
def test_orders_of_before_a_restart_are_obeyed_from_the_first_request_on(server: str) -> None:
    budgets = Budgets(POLICIES)
    budgets.remember([ServerOrder("ban", server), ServerOrder("pause", "b.org"), ServerOrder("resume", "b.org")])
    assert asked(budgets, server)[0] is Verdict.BANNED
    assert asked(budgets, "b.org")[0] is Verdict.OPEN
    assert server in budgets.snapshots() and "c.org" not in budgets.snapshots()


def test_an_old_order_does_not_undo_what_was_learned_since() -> None:
    before = Budgets(POLICIES)
    before.order(ServerOrder("rate", "a.org", 4.0))
    snapshot = {**before.snapshots()["a.org"], "rate_rps": 1.0, SAVED_AT: time.time()}
    for age_s, rate_rps in ((3600.0, 1.0), (-5.0, 4.0)):
        budgets = Budgets(POLICIES, {"a.org": snapshot})
        budgets.remember([ServerOrder("rate", "a.org", 4.0, time.time() - age_s)])
        asked(budgets, "a.org")
        assert budgets.snapshots()["a.org"]["rate_rps"] == pytest.approx(rate_rps)


def test_rows_of_a_banned_host_end_and_those_of_its_group_go_on(tmp_path: Path) -> None:
    run = Run(tmp_path, URLS)
    run.host.order(ServerOrder("ban", f"c1.{GROUP}"))
    report = run.slice()
    assert not report.unfinished
    assert run.kinds() == {"ignored_server": 30}
    assert len(run.asked()) == 30


def test_rows_of_a_paused_host_wait_and_are_fetched_when_it_is_resumed(tmp_path: Path) -> None:
    run = Run(tmp_path, URLS)
    run.host.order(ServerOrder("pause", f"c1.{GROUP}"))
    report = run.slice(seconds=60.0)
    assert sum(item.left for item in report.unfinished) == 30
    assert all(item.ready_in_s > 0 for item in report.unfinished if item.left)
    run.host.order(ServerOrder("resume", f"c1.{GROUP}"))
    assert not run.slice(holder="later").unfinished
    assert len(run.asked()) == 60
