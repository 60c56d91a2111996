"""The planner: longest work first, a slow server in one task, a fast one spread, nothing lost."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.schedule.planner import CORE_RPS, Planner, WorkItem


def batches(server: str, count: int, rows: int, first_id: int = 0, servers: int = 1) -> list[WorkItem]:
    return [WorkItem(Batch(first_id + n, server, n, "part-0.parquet", n, rows, servers), rows) for n in range(count)]


def planner(rates: dict[str, float], slots: int, task_seconds: float = 60.0) -> Planner:
    return Planner(lambda batch: rates[batch.server_name], slots, task_seconds)


def servers_of(hand: list[WorkItem]) -> set[str]:
    return {item.batch.server_name for item in hand}


def test_a_slow_server_is_in_one_task_at_a_time() -> None:
    plan = planner({"slow": 3.0}, slots=4)
    plan.add(batches("slow", 10, 100), 0.0)
    hands = plan.plan(4, 0.0)
    assert len(hands) == 1
    assert plan.plan(3, 1.0) == []
    plan.task_ended(item.batch for item in hands[0])
    assert len(plan.plan(4, 2.0)) == 1


def test_a_slow_servers_slice_has_about_twice_the_rows_it_can_fetch() -> None:
    plan = planner({"slow": 3.0}, slots=1)
    plan.add(batches("slow", 100, 10), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert sum(item.left for item in hand) == 2 * 3 * 60


def test_a_server_without_limit_is_spread_over_all_slots() -> None:
    plan = planner({"fast": math.inf}, slots=2)
    plan.add(batches("fast", 16, 625), 0.0)
    hands = plan.plan(2, 0.0)
    assert [len(hand) for hand in hands] == [4, 3]


def test_servers_are_dealt_evenly_over_free_slots() -> None:
    rates = {f"s{n}": 20.0 for n in range(10)}
    plan = planner(rates, slots=2)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 100, first_id=n), 0.0)
    hands = plan.plan(2, 0.0)
    assert [len(servers_of(hand)) for hand in hands] == [5, 5]


def test_the_longest_work_is_dealt_first() -> None:
    plan = planner(dict.fromkeys(("small", "large", "larger"), CORE_RPS * 0.4), slots=1)
    plan.add(batches("small", 1, 10), 0.0)
    plan.add(batches("large", 1, 1000, first_id=1), 0.0)
    plan.add(batches("larger", 1, 5000, first_id=2), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert servers_of(hand) == {"larger", "large"}


def test_a_core_is_filled_but_not_over_its_capacity() -> None:
    rates = {f"s{n}": CORE_RPS / 4 for n in range(100)}
    plan = planner(rates, slots=2)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 100, first_id=n), 0.0)
    assert [len(hand) for hand in plan.plan(2, 0.0)] == [4, 4]


def test_a_core_is_not_crowded_and_smaller_servers_fill_what_is_left() -> None:
    rates = {"first": 300.0, "second": 300.0, "third": 90.0}
    plan = planner(rates, slots=1)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 9000 - 3000 * n, first_id=n), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert servers_of(hand) == {"first", "third"}
    plan.task_ended(item.batch for item in hand)
    (hand,) = plan.plan(1, 60.0)
    assert servers_of(hand) == {"second"}


def test_a_spread_server_leaves_room_in_the_cores_that_share_it() -> None:
    plan = planner({"wide": 1.1 * CORE_RPS, "slow": 100.0, "slower": 90.0}, slots=2)
    plan.add(batches("wide", 40, 10_000), 0.0)
    plan.add(batches("slow", 1, 10, first_id=100), 0.0)
    plan.add(batches("slower", 1, 10, first_id=101), 0.0)
    hands = plan.plan(2, 0.0)
    assert len(hands) == 2
    assert all(len(servers_of(hand)) == 2 and "wide" in servers_of(hand) for hand in hands)


def test_a_batch_that_is_not_ready_sleeps_until_it_is() -> None:
    plan = planner({"paused": 3.0}, slots=1)
    (item,) = batches("paused", 1, 10)
    plan.add([WorkItem(item.batch, 10, ready_in_s=60.0)], 100.0)
    assert plan.has_work
    assert plan.plan(1, 159.0) == []
    assert plan.next_wake_s() == 160.0
    assert len(plan.plan(1, 160.0)) == 1


def test_pooled_batches_go_to_different_tasks() -> None:
    plan = planner({POOLED: 300.0}, slots=2)
    plan.add(batches(POOLED, 2, 1000, servers=100), 0.0)
    assert len(plan.plan(2, 0.0)) == 2


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_every_batch_is_dealt_exactly_once_whatever_tasks_give_back(slots: int) -> None:
    rates = {"fast": math.inf, "medium": 500.0, "slow": 2.0, POOLED: 50.0}
    plan = planner(rates, slots)
    left = Counter[int]()
    for n, server in enumerate(rates):
        items = batches(server, 20, 100, first_id=1000 * n)
        left.update({item.batch.batch_id: item.left for item in items})
        plan.add(items, 0.0)
    running: list[list[WorkItem]] = []
    now_s = 0.0
    while plan.has_work or running:
        running.extend(plan.plan(slots - len(running), now_s))
        at_work = [item.batch.batch_id for hand in running for item in hand]
        assert len(at_work) == len(set(at_work))
        hand = running.pop(0)
        plan.task_ended(item.batch for item in hand)
        for item in hand:
            left[item.batch.batch_id] -= 50
        plan.add([WorkItem(item.batch, item.left - 50) for item in hand if item.left > 50], now_s)
        now_s += 1.0
    assert set(left.values()) == {0}
