"""The planner: longest work first, a slow server in one task, a fast one spread, nothing lost."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.schedule.planner import CORE_RPS, Planner, WorkItem, slice_seconds


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


def test_an_empty_planner_has_nothing_to_do_and_nothing_to_wait_for() -> None:
    plan = planner({}, slots=2)
    assert not plan.has_work
    assert not plan.is_ready
    assert plan.next_wake_s() == math.inf
    assert plan.plan(2, 0.0) == []


def test_what_waits_sleeps_or_is_alone_is_work() -> None:
    (item,) = batches("a", 1, 10)
    for waiting in (item, replace(item, ready_in_s=5.0), replace(item, is_alone=True)):
        plan = planner({"a": 3.0}, slots=1)
        plan.add([waiting], 0.0)
        assert plan.has_work
        assert plan.is_ready == (waiting.ready_in_s == 0)
        assert len(plan.plan(1, 5.0)) == 1
        assert not plan.has_work


def test_a_batch_that_killed_tasks_gets_a_task_of_its_own_first() -> None:
    plan = planner({"a": 3.0, "b": 3.0}, slots=2)
    lone = replace(batches("a", 1, 10)[0], is_alone=True)
    plan.add([*batches("a", 1, 10, first_id=5), *batches("b", 1, 10, first_id=9), lone], 0.0)
    hands = plan.plan(2, 0.0)
    assert hands[0] == [lone]
    assert servers_of(hands[1]) == {"b"}, "its server is busy with it"
    plan.task_ended([lone.batch])
    (hand,) = plan.plan(1, 1.0)
    assert servers_of(hand) == {"a"}


def test_lone_batches_take_no_more_slots_than_are_free() -> None:
    plan = planner({"a": 3.0}, slots=3)
    plan.add([replace(item, is_alone=True) for item in batches("a", 3, 10)], 0.0)
    assert [len(plan.plan(free, 0.0)) for free in (1, 0, 5)] == [1, 0, 2]


def test_sleeping_batches_wake_in_their_order_and_not_before() -> None:
    plan = planner({"a": 3.0, "b": 3.0}, slots=2)
    late, soon = (
        replace(*batches(server, 1, 10, n), ready_in_s=s) for n, (server, s) in enumerate((("a", 9.0), ("b", 4.0)))
    )
    plan.add([late, soon], 100.0)
    assert plan.next_wake_s() == 104.0
    assert not plan.is_ready
    assert [servers_of(hand) for hand in plan.plan(2, 104.0)] == [{"b"}]
    assert plan.next_wake_s() == 109.0
    assert plan.plan(2, 108.9) == []
    assert [servers_of(hand) for hand in plan.plan(2, 109.0)] == [{"a"}]
    assert plan.next_wake_s() == math.inf


def test_a_server_is_ready_while_a_further_task_may_work_for_it() -> None:
    plan = planner({"slow": 3.0}, slots=2)
    plan.add(batches("slow", 100, 100), 0.0)
    assert plan.is_ready
    (hand,) = plan.plan(2, 0.0)
    assert not plan.is_ready
    plan.task_ended(item.batch for item in hand)
    assert plan.is_ready


def test_two_tasks_of_one_server_end_one_after_the_other() -> None:
    plan = planner({"fast": math.inf}, slots=2)
    plan.add(batches("fast", 2, 10), 0.0)
    first, second = plan.plan(2, 0.0)
    plan.task_ended(item.batch for item in first)
    plan.add(first, 1.0)
    plan.task_ended(item.batch for item in second)
    assert [len(hand) for hand in plan.plan(2, 2.0)] == [1]


@pytest.mark.parametrize(("rate_rps", "tasks"), [(1.0, 1), (450.0, 1), (451.0, 2), (900.0, 2), (901.0, 3), (1e9, 4)])
def test_a_server_is_spread_over_as_many_tasks_as_its_rate_keeps_busy(rate_rps: float, tasks: int) -> None:
    plan = planner({"a": rate_rps}, slots=4)
    plan.add(batches("a", 400, 10_000), 0.0)
    assert len(plan.plan(4, 0.0)) == tasks


def test_a_spread_servers_slice_is_half_of_each_slots_share() -> None:
    plan = planner({"a": 900.0}, slots=4)
    plan.add(batches("a", 40, 100), 0.0)
    assert [sum(item.left for item in hand) for hand in plan.plan(4, 0.0)] == [1000, 800]
    few = planner({"a": 4500.0}, slots=2)
    few.add(batches("a", 40, 100), 0.0)
    assert [sum(item.left for item in hand) for hand in few.plan(2, 0.0)] == [1000, 800]


def test_a_slice_of_a_fast_server_has_what_a_core_can_fetch_twice() -> None:
    plan = planner({"a": 450.0}, slots=1, task_seconds=10.0)
    plan.add(batches("a", 200, 100), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert sum(item.left for item in hand) == 9000
    assert len(hand) == 90


def test_a_slice_has_256_batches_at_most_and_one_at_least() -> None:
    plan = planner({"a": 400.0}, slots=1)
    plan.add(batches("a", 300, 1), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert len(hand) == 256
    one = planner({"a": 0.001}, slots=1)
    one.add(batches("a", 5, 100), 0.0)
    (hand,) = one.plan(1, 0.0)
    assert len(hand) == 1


def test_a_task_of_256_batches_is_full_whatever_its_rate() -> None:
    rates = {f"s{n}": 0.001 for n in range(400)}
    plan = planner({**rates, "big": 400.0}, slots=1)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 1, first_id=n), 0.0)
    plan.add(batches("big", 1, 1, first_id=900), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert len(hand) == 256


def test_rates_are_learned_at_each_planning() -> None:
    rates = {"a": 3.0}
    plan = planner(rates, slots=4)
    plan.add(batches("a", 40, 1000), 0.0)
    assert len(plan.plan(4, 0.0)) == 1
    rates["a"] = 4500.0
    assert len(plan.plan(3, 1.0)) == 0, "it is found out when its task ends"
    plan.task_ended([batches("a", 1, 1000)[0].batch])
    plan.add([], 1.0)
    assert len(plan.plan(4, 2.0)) == 4


def test_each_slot_gets_its_share_of_what_all_servers_can_be_asked_for() -> None:
    """Forty servers of 1/s and two slots: twenty each; an unlimited one counts as all that the slots can do."""
    rates = {f"s{n:02d}": 1.0 for n in range(40)}
    plan = planner(rates, slots=2)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 100, first_id=n), 0.0)
    (hand,) = plan.plan(1, 0.0, [4.0])
    assert len(servers_of(hand)) == 20, "the other slot is free soon, and has its share to come"
    with_fast = planner({**rates, "fast": math.inf}, slots=2)
    for n, server in enumerate(rates):
        with_fast.add(batches(server, 1, 100, first_id=n), 0.0)
    with_fast.add(batches("fast", 1, 1, first_id=99), 0.0)
    (hand,) = with_fast.plan(1, 0.0)
    assert len(servers_of(hand)) >= 40


def test_servers_that_are_done_are_no_part_of_the_share() -> None:
    rates = {"a": 100.0, "b": 300.0, **{f"s{n}": 10.0 for n in range(4)}}
    plan = planner(rates, slots=2)
    plan.add([*batches("a", 1, 10_000), *batches("b", 1, 90_000, first_id=1)], 0.0)
    hands = plan.plan(2, 0.0)
    assert [servers_of(hand) for hand in hands] == [{"b"}, {"a"}]
    for hand in hands:
        plan.task_ended(item.batch for item in hand)
    for n in range(4):
        plan.add(batches(f"s{n}", 1, 10, first_id=10 + n), 1.0)
    (hand,) = plan.plan(1, 1.0, [1.5, 60.0])
    assert len(servers_of(hand)) == 2, "half of what is left: the other slot is about to be free"


def test_work_of_a_slow_server_counts_as_longer() -> None:
    plan = planner({"slow": 1.0, "fast": 400.0}, slots=1)
    plan.add(batches("fast", 1, 9_000), 0.0)
    plan.add(batches("slow", 1, 100, first_id=1), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert [item.batch.server_name for item in hand] == ["slow", "fast"]


def test_one_that_does_not_fit_is_passed_over_and_comes_next() -> None:
    plan = planner({"a": 200.0, "b": 300.0, "c": 250.0}, slots=1)
    for n, server in enumerate("abc"):
        plan.add(batches(server, 1, 9_000 - n, first_id=n), 0.0)
    (hand,) = plan.plan(1, 0.0)
    assert servers_of(hand) == {"a", "c"}, "450 in all, to the last request"
    (hand,) = plan.plan(1, 0.0)
    assert servers_of(hand) == {"b"}


def test_a_pooled_batch_is_a_lane_of_its_own() -> None:
    plan = planner({POOLED: 3.0}, slots=3)
    plan.add(batches(POOLED, 3, 100, servers=50), 0.0)
    assert [len(hand) for hand in plan.plan(3, 0.0)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("wakes_in_s", "others_end_in_s", "seconds"),
    [
        (math.inf, [], 60.0),
        (60.0, [], 60.0),
        (59.0, [], 59.0),
        (20.0, [20.1, 40.0], 20.0),
        (20.0, [20.0, 40.0], 60.0),
        (3.0, [40.0], 15.0),
        (3.0, [15.0], 60.0),
        (20.0, [-1.0, 40.0], 20.0),
        (20.0, [0.0], 60.0),
        (20.0, [0.5], 60.0),
        (-1.0, [], 15.0),
    ],
    ids=[
        "nobody-waits",
        "later",
        "just-before-its-end",
        "before-others",
        "another-ends",
        "soon",
        "soon-enough",
        "overdue",
        "another-ends-now",
        "another-ends-at-once",
        "now",
    ],
)
def test_a_slice_ends_when_a_waiting_batch_wakes_and_no_other_ends_by_then(
    wakes_in_s: float, others_end_in_s: list[float], seconds: float
) -> None:
    assert slice_seconds(60.0, wakes_in_s, others_end_in_s) == seconds


def test_a_short_slice_stays_short() -> None:
    assert slice_seconds(4.0, 1.0, []) == 4.0


@pytest.mark.parametrize("ends_s", [[], [40.0], [-30.0, 40.0]], ids=["one-slot", "later", "overdue"])
def test_no_server_waits_for_another_slot_while_this_core_has_room(ends_s: list[float]) -> None:
    rates = {f"s{n}": 1.0 for n in range(5)}
    plan = planner(rates, slots=2)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 100, first_id=n), 0.0)
    (hand,) = plan.plan(1, 0.0, ends_s)
    assert len(servers_of(hand)) == 5
    assert not plan.is_ready


def test_a_core_is_not_filled_beyond_what_it_can_do_for_those_left_over() -> None:
    rates = dict.fromkeys("abcdef", CORE_RPS * 0.3)
    plan = planner(rates, slots=2)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 10_000, first_id=n), 0.0)
    (hand,) = plan.plan(1, 0.0, [30.0])
    assert len(servers_of(hand)) == 3


@pytest.mark.parametrize(
    ("ends_in_s", "servers"), [(4.0, 3), (5.0, 3), (5.1, 5), (-4.0, 3), (-5.1, 5)], ids=lambda given: f"{given}"
)
def test_a_slot_that_is_free_soon_gets_its_share(ends_in_s: float, servers: int) -> None:
    """Also if it is overdue by little; one that is overdue by more may take long."""
    rates = {f"s{n}": 1.0 for n in range(5)}
    plan = planner(rates, slots=2)
    for n, server in enumerate(rates):
        plan.add(batches(server, 1, 100, first_id=n), 1000.0)
    (hand,) = plan.plan(1, 1000.0, [1000.0 + ends_in_s])
    assert len(servers_of(hand)) == servers


def test_a_server_with_as_many_tasks_as_it_may_have_is_not_ready_whatever_waits() -> None:
    plan = planner({"a": CORE_RPS}, slots=2)  # fills its task, so that its other entries stay in the heap
    first, *others = batches("a", 3, rows=100_000)
    plan.add([first, *others], 0.0)
    assert plan.plan(1, 0.0) == [[first]]
    assert plan.has_work and not plan.is_ready
    assert plan.plan(1, 0.0) == []
    plan.task_ended([first.batch])
    assert plan.is_ready
    assert plan.plan(1, 0.0) == [[others[0]]]
