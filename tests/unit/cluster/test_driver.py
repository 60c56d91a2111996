"""The driver over scripted slices in virtual time: what is assigned, given back, lost, saved and ordered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from ray_downloader.cluster.crashes import ALONE_FROM, MAX_CRASHES
from ray_downloader.cluster.driver import SAVE_INTERVAL_S, WATCH_INTERVAL_S
from ray_downloader.cluster.ports import SliceLost
from ray_downloader.errors import RunFolderError
from ray_downloader.politeness.outage import LEAST_S
from ray_downloader.politeness.server.state import UNSAVED_S
from ray_downloader.run_folder.orders import OrderFile, ServerOrder
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.progress import Progress
from tests.support.driven import DrivenRun, Ended, Script, finishing, settling, work_items


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


def test_a_slice_in_the_last_free_slot_ends_when_a_waiting_server_may_be_asked_again(tmp_path: Path) -> None:
    def script(items: Sequence[WorkItem], now_s: float) -> Ended:
        waits_s = 30.0 if items[0].batch.server_name == "a.example" else 0.0
        return settling(100, after_s=1.0, ready_in_s=waits_s)(items, now_s)

    run = DrivenRun(tmp_path, script, slots=1, rates_rps={"a.example": 450.0, "b.example": 450.0})
    run.driver.run([*work_items("a.example", 1, 1000), *work_items("b.example", 1, 200)])
    assert [(names[0][0], seconds) for names, seconds in zip(run.pool.names, run.pool.lengths_s, strict=True)][:3] == [
        ("a.example", 60.0), ("b.example", 30.0), ("b.example", pytest.approx(29.0, abs=0.5)),
    ]  # fmt: skip


def test_a_stopped_run_drains_once_and_starts_nothing_more(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, settling(10, after_s=10.0), slots=1)
    run.clock.at(25.0, lambda: run.driver.stop("SIGTERM"))
    run.clock.at(26.0, lambda: run.driver.stop("SIGTERM"))
    result = run.driver.run(work_items("a.example", 1, 1000))
    assert result.is_stopped
    assert len(run.pool.slices) == 3
    assert run.clock() == pytest.approx(30.0, abs=1.0), "what was under way ended first"
    drained_at_s = next(at_s for at_s, mode in run.actors.calls_of("mode") if mode.is_draining)
    assert drained_at_s == pytest.approx(25.0, abs=0.6)
    assert run.views.seen[-1][1].is_final and run.views.seen[-1][1].mode.is_draining


def test_a_run_that_only_waits_for_a_server_stops_at_once(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, settling(10, after_s=1.0, ready_in_s=3600.0))
    run.clock.at(100.0, lambda: run.driver.stop("SIGUSR1"))
    assert run.driver.run(work_items("a.example", 1, 100)).is_stopped
    assert run.clock() < 102.0


def test_a_lost_slice_is_assigned_again(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing())
    lost = iter([SliceLost("killed", holder="task 1")])
    whole = run.pool.script
    run.pool.script = lambda items, now_s: Ended(3.0, one) if (one := next(lost, None)) else whole(items, now_s)
    run.driver.run(work_items("a.example", 1, 100))
    assert len(run.pool.slices) == 2
    assert [holder for _, holder in run.actors.calls_of("forget")] == ["task 1"]


def test_what_no_task_could_do_better_ends_the_run_after_those_under_way(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(10.0), slots=2)
    full = RunFolderError("no space is left")
    lost = iter([SliceLost("full", holder="task 1", failure=full)])
    whole = run.pool.script
    run.pool.script = lambda items, now_s: Ended(3.0, one) if (one := next(lost, None)) else whole(items, now_s)
    result = run.driver.run(work_items("a.example", 8, 1000))
    assert result.failure is full and result.is_stopped
    assert {at_s for at_s, _ in run.pool.slices} == {0.0}, "nothing more was started"
    assert run.actors.calls_of("save")[-1][0] == run.clock()


def test_what_is_granted_between_two_saves_is_in_the_first_of_them() -> None:
    assert SAVE_INTERVAL_S + 2 * WATCH_INTERVAL_S < UNSAVED_S


def test_what_was_learned_is_saved_every_few_seconds_and_at_the_end(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(21.0))
    run.driver.run(work_items("a.example", 1, 100))
    saved = [at_s for at_s, _ in run.actors.calls_of("save")]
    assert [mode.is_draining for _, mode in run.actors.calls_of("mode")][-1], "nothing more is granted, which is saved"
    assert not any(mode.is_draining for at_s, mode in run.actors.calls_of("mode") if at_s < run.clock())
    assert saved[:4] == [0.0, 0.5, 1.0, 2.0], "before the first of them nobody would know what an actor has granted"
    assert all(SAVE_INTERVAL_S <= b - a <= SAVE_INTERVAL_S + 1.0 for a, b in pairwise(saved[3:-1]))
    assert saved[-1] == run.clock()


def test_saving_that_takes_long_is_done_less_often(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(200.0))
    run.actors.saving_takes_s = 2.0
    run.driver.run(work_items("a.example", 1, 100))
    saved = [at_s for at_s, _ in run.actors.calls_of("save")]
    assert all(b - a >= 40.0 for a, b in pairwise(saved[:-1]))


def test_orders_of_before_are_given_before_the_first_slice_and_new_ones_within_a_second(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(20.0))
    orders = OrderFile(run.layout.orders_file)
    orders.append(ServerOrder("pause", "a.example"))
    run.clock.at(7.0, lambda: orders.append(ServerOrder("rate", "b.example", 2.0)))
    run.driver.run(work_items("a.example", 1, 100))
    (first, second) = run.actors.calls_of("order")
    assert first == (0.0, ServerOrder("pause", "a.example"))
    assert second[1] == ServerOrder("rate", "b.example", 2.0)
    assert 7.0 <= second[0] <= 8.0


def crashing(times: int, reason: SliceLost, whole: Script) -> Script:
    """A script in which the first slices with the batch 0 are lost."""
    left = iter(range(times))

    def script(items: Sequence[WorkItem], now_s: float) -> Ended:
        has_it = any(item.batch.batch_id == 0 for item in items)
        return Ended(3.0, reason) if has_it and next(left, None) is not None else whole(items, now_s)

    return script


def test_a_batch_at_which_tasks_die_again_and_again_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, crashing(99, SliceLost("killed"), finishing()), slots=1, rates_rps={"a.example": 200.0})
    result = run.driver.run(work_items("a.example", 5, 100))
    assert len(result.abandoned) == 1 and f"partition_id=0: its task died {MAX_CRASHES} times" in result.abandoned[0]
    finished = {name for names in run.pool.names for name in names if names != [("a.example", 0)]}
    assert finished >= {("a.example", n) for n in range(1, 5)}
    assert run.pool.names.count([("a.example", 0)]) == MAX_CRASHES - ALONE_FROM, "its last tries were its own"


def test_crashes_with_progress_in_between_do_not_count(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, crashing(9, SliceLost("killed"), finishing()))
    for second in range(60):
        run.clock.at(second, lambda second=second: run.left.update({0: 1000 - second}))
    result = run.driver.run(work_items("a.example", 1, 1000))
    assert not result.abandoned
    assert len(run.pool.slices) == 10


def test_lost_nodes_never_end_a_run(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, crashing(12, SliceLost("node", is_node_lost=True), finishing()))
    assert not run.driver.run(work_items("a.example", 1, 1000)).abandoned
    assert len(run.pool.slices) == 13


def modes(run: DrivenRun, what: str) -> list[tuple[float, bool]]:
    """When the actors were told that this began or ended."""
    changes, before = [], False
    for at_s, mode in run.actors.calls_of("mode"):
        if getattr(mode, what) is not before:
            before = getattr(mode, what)
            changes.append((at_s, before))
    return changes


def test_a_run_whose_tasks_only_wait_for_servers_in_trouble_is_idle(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(60.0))

    def report(busy_at_s: float) -> None:
        run.actors.reported = Progress(answered=1, busy_at_s=busy_at_s)

    for second in (*range(1, 20), 40, 41):
        run.clock.at(second, lambda second=second: report(1e6 + second))
    run.driver.run(work_items("a.example", 1, 100))
    changes = modes(run, "is_idle")
    assert [is_idle for _, is_idle in changes] == [True, False, True]
    assert changes[0][0] == pytest.approx(21.5, abs=1.0)
    assert changes[1][0] == pytest.approx(40.0, abs=0.6)
    assert changes[2][0] == pytest.approx(43.5, abs=1.0)


def test_a_run_with_something_left_to_assign_is_not_idle(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, finishing(30.0), slots=1, rates_rps={"fast.example": float("inf")})
    run.driver.run(work_items("fast.example", 2, 100))
    assert [at_s >= 30.0 for at_s, _ in modes(run, "is_idle")] == [True]


def test_a_slice_that_begins_while_the_run_is_idle_does_not_end_that(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, settling(10, after_s=5.0, ready_in_s=20.0))
    run.driver.run(work_items("a.example", 1, 40))
    assert modes(run, "is_idle") == [(pytest.approx(2.0, abs=0.6), True)]


def unreached(run: DrivenRun, at_s: float, servers: Sequence[str], times: int = 1, answered: int = 0) -> None:
    """At that time tasks have reported failures to connect."""
    progress = Progress(answered=answered, unreached=Counter(dict.fromkeys(servers, times)))
    run.clock.at(at_s, lambda: setattr(run.actors, "reported", progress))


THREE = ("a.example", "b.example", "c.example")


def test_when_nobody_can_be_reached_the_run_waits_and_goes_on_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = DrivenRun(tmp_path, finishing(100.0))
    unreached(run, 10.0, THREE)
    unreached(run, 60.0, THREE, answered=1)
    result = run.driver.run(work_items("a.example", 1, 100))
    (began, ended) = modes(run, "is_outage")
    assert (began[1], ended[1]) == (True, False)
    assert began[0] == pytest.approx(10.0 + LEAST_S, abs=1.0)
    assert ended[0] == pytest.approx(60.0, abs=1.0)
    assert not result.is_outage and not result.is_stopped
    said = [record.message for record in caplog.records]
    assert sum("our own network, DNS or proxy" in line for line in said) == 1
    assert sum("can be reached again" in line for line in said) == 1


def test_an_outage_that_outlasts_its_patience_stops_the_run(tmp_path: Path) -> None:
    run = DrivenRun(tmp_path, settling(1, after_s=5.0, ready_in_s=30.0), network={"outage_patience_s": 50})
    unreached(run, 1.0, THREE)
    result = run.driver.run(work_items("a.example", 1, 1000))
    assert result.is_outage and result.is_stopped
    assert run.clock() == pytest.approx(1.0 + LEAST_S + 50.0, abs=6.0)
