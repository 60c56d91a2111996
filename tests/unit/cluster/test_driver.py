"""The driver over scripted slices in virtual time: what is assigned, given back, lost, saved and ordered."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from ray_downloader.cluster.driver import SAVE_INTERVAL_S, ProgressSum
from ray_downloader.cluster.ports import SliceLost
from ray_downloader.run_folder.orders import OrderFile, ServerOrder
from ray_downloader.worker.progress import Progress
from tests.support.driven import DrivenRun, Ended, finishing, settling, work_items


def test_every_batch_is_assigned_once_and_no_more_slices_run_than_there_are_slots(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(10.0), slots=2, rates_rps={"fast.example": float("inf")})
    work = work_items("fast.example", 16, 100)
    result = run.driver.run(work)
    assert Counter(name for names in run.pool.names for name in names) == Counter(
        (item.batch.server_name, item.batch.partition_id) for item in work
    )
    starts = [at_s for at_s, _ in run.pool.slices]
    assert max(sum(start <= at_s < start + 10.0 for start in starts) for at_s in starts) == 2
    assert not result.is_stopped
    assert result.requests == 1600


def test_what_a_slice_gives_back_is_assigned_again_when_its_server_may_be_asked(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, settling(100, after_s=1.0, ready_in_s=30.0))
    run.driver.run(work_items("a.example", 1, 250))
    starts = [at_s for at_s, _ in run.pool.slices]
    assert len(starts) == 3
    assert all(31.0 <= later - earlier < 32.0 for earlier, later in pairwise(starts))


def test_a_stopped_run_drains_once_and_starts_nothing_more(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, settling(10, after_s=10.0), slots=1)
    run.clock.at(25.0, lambda: run.driver.stop("SIGTERM"))
    run.clock.at(26.0, lambda: run.driver.stop("SIGTERM"))
    result = run.driver.run(work_items("a.example", 1, 1000))
    assert result.is_stopped
    assert len(run.pool.slices) == 3
    assert run.clock() == pytest.approx(30.0, abs=1.0), "what was under way ended first"
    (drained,) = run.actors.heard("drain")
    assert drained[0] == pytest.approx(25.0, abs=0.6)
    assert run.views.seen[-1][1].is_final and run.views.seen[-1][1].is_draining


def test_a_run_that_only_waits_for_a_server_stops_at_once(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, settling(10, after_s=1.0, ready_in_s=3600.0))
    run.clock.at(100.0, lambda: run.driver.stop("SIGUSR1"))
    assert run.driver.run(work_items("a.example", 1, 100)).is_stopped
    assert run.clock() < 102.0


def test_a_lost_slice_is_assigned_again(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing())
    lost = iter([SliceLost("killed")])
    whole = run.pool.script
    run.pool.script = lambda items, now_s: Ended(3.0, one) if (one := next(lost, None)) else whole(items, now_s)
    run.driver.run(work_items("a.example", 1, 100))
    assert len(run.pool.slices) == 2


def test_what_was_learned_is_saved_every_few_seconds_and_at_the_end(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(21.0))
    run.driver.run(work_items("a.example", 1, 100))
    saved = [at_s for at_s, _ in run.actors.heard("save")]
    assert saved[0] == 0.0
    assert all(SAVE_INTERVAL_S <= b - a <= SAVE_INTERVAL_S + 1.0 for a, b in pairwise(saved[:-1]))
    assert saved[-1] == run.clock()


def test_saving_that_takes_long_is_done_less_often(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(200.0))
    run.actors.saving_takes_s = 2.0
    run.driver.run(work_items("a.example", 1, 100))
    saved = [at_s for at_s, _ in run.actors.heard("save")]
    assert all(b - a >= 40.0 for a, b in pairwise(saved[:-1]))


def test_orders_of_before_are_given_before_the_first_slice_and_new_ones_within_a_second(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(20.0))
    orders = OrderFile(run.layout.orders_file)
    orders.append(ServerOrder("pause", "a.example"))
    run.clock.at(7.0, lambda: orders.append(ServerOrder("rate", "b.example", 2.0)))
    run.driver.run(work_items("a.example", 1, 100))
    (first, second) = run.actors.heard("order")
    assert first == (0.0, ServerOrder("pause", "a.example"))
    assert second[1] == ServerOrder("rate", "b.example", 2.0)
    assert 7.0 <= second[0] <= 8.0


def test_sums_go_on_when_the_actor_that_counts_starts_from_nothing() -> None:
    counted = ProgressSum()
    first = Progress(Counter({("a", ""): 5}), size_bytes=100, answered=6)
    assert counted.take(first).settled.total() == 5
    assert counted.take(None).settled.total() == 5
    assert counted.take(Progress()).size_bytes == 100
    again = counted.take(Progress(Counter({("a", ""): 2}), size_bytes=10, answered=2))
    assert (again.settled.total(), again.size_bytes, again.answered) == (7, 110, 8)
