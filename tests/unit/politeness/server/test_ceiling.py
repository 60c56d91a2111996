"""The strictest of what is configured, ordered and asked for by robots.txt is the ceiling."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.ceiling import Ceiling
from ray_downloader.politeness.server.snapshot import Reader


def test_the_policy_holds_until_somebody_orders_otherwise() -> None:
    ceiling = Ceiling(4.0)
    assert (ceiling.rps, ceiling.ordered_rps, ceiling.crawl_delay_s) == (4.0, None, 0.0)
    ceiling.ordered_rps = 9.0
    assert ceiling.rps == 9.0
    ceiling.note_crawl_delay(2.0, 0.0)
    assert ceiling.rps == 0.5, "an order does not overrule the server"
    fast = Ceiling(0.25)
    fast.note_crawl_delay(2.0, 0.0)
    assert fast.rps == 0.25


def test_without_a_limit_there_is_only_the_delay_of_a_robots_txt_that_a_task_obeys() -> None:
    free = Ceiling(None)
    free.ordered_rps = 3.0
    assert free.rps is None
    free.note_crawl_delay(9.0, 0.0)
    assert free.rps == pytest.approx(1 / 9)
    assert free.is_long_delay
    again = Ceiling(None)
    again.load(Reader(free.dump(1.0)), 1.0, 2.0)
    assert again.rps is None, "whether it is still to be obeyed is for the tasks to say"


@pytest.mark.parametrize(("delay_s", "is_long"), [(4.9, False), (5.0, True)])
def test_a_delay_of_five_seconds_is_a_reason_to_wait(delay_s: float, is_long: bool) -> None:
    ceiling = Ceiling(4.0)
    ceiling.note_crawl_delay(delay_s, 0.0)
    assert ceiling.is_long_delay is is_long


def test_the_longest_delay_of_a_group_holds_up_to_a_day() -> None:
    ceiling = Ceiling(4.0)
    for delay_s in (2.0, 5.0, 3.0, 0.0, -1.0):
        ceiling.note_crawl_delay(delay_s, 0.0)
    assert ceiling.crawl_delay_s == 5.0
    ceiling.note_crawl_delay(1e9, 0.0)
    assert ceiling.crawl_delay_s == 86_400.0


def test_a_robots_txt_without_a_delay_does_not_make_that_of_another_host_last_longer() -> None:
    ceiling = Ceiling(4.0)
    ceiling.note_crawl_delay(5.0, 0.0)
    ceiling.note_crawl_delay(0.0, 100.0)
    assert ceiling.dump(130.0)["crawl_delay_age_s"] == 130.0


def test_what_was_learned_is_kept_for_a_day_and_an_order_for_good() -> None:
    ceiling = Ceiling(4.0)
    ceiling.ordered_rps = 2.0
    ceiling.note_crawl_delay(5.0, 100.0)
    saved = ceiling.dump(130.0)
    assert saved == {"ordered_rps": 2.0, "crawl_delay_s": 5.0, "crawl_delay_age_s": 30.0}
    young = Ceiling(4.0)
    young.load(Reader(saved), 86_400.0 - 31.0, 7.0)
    assert (young.ordered_rps, young.crawl_delay_s) == (2.0, 5.0)
    assert young.dump(7.0)["crawl_delay_age_s"] == pytest.approx(86_399.0)
    old = Ceiling(4.0)
    old.load(Reader(saved), 86_400.0 - 30.0, 7.0)
    assert (old.ordered_rps, old.crawl_delay_s) == (2.0, 0.0)
    none = Ceiling(4.0)
    none.load(Reader(Ceiling(4.0).dump(0.0)), 0.0, 0.0)
    assert (none.ordered_rps, none.crawl_delay_s) == (None, 0.0)


def test_a_distance_that_was_demanded_or_ordered_is_kept_by_each_pair_of_requests() -> None:
    """A rate of the policy alone may be made up for by a burst."""
    plain, delayed, ordered = Ceiling(4.0), Ceiling(4.0), Ceiling(4.0)
    delayed.note_crawl_delay(2.0, 0.0)
    ordered.ordered_rps = 9.0
    assert [ceiling.keeps_distance for ceiling in (plain, delayed, ordered)] == [False, True, True]
