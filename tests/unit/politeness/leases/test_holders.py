from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.leases.holders import HOLDER_TIMEOUT_S, TRANSFER_TIMEOUT_S, Holder, Holders


def ask(holders: Holders, name: str, *, now_s: float = 0.0, wanted: int = 9, in_flight: int = 0, limit: int = 4) -> int:
    holder = holders.note_report(name, wanted, in_flight, now_s)
    connections = holders.connections_for(name, limit)
    holder.allow(connections)
    return connections


def test_one_holder_gets_all_connections() -> None:
    assert ask(Holders(), "a") == 4


def test_a_holder_gets_no_more_than_it_can_use() -> None:
    assert ask(Holders(), "a", wanted=1, in_flight=1) == 2


def test_a_second_holder_waits_until_the_first_reports_less() -> None:
    holders = Holders()
    ask(holders, "a")
    assert ask(holders, "b") == 0
    assert ask(holders, "a", in_flight=4) == 2
    assert ask(holders, "b") == 0
    assert ask(holders, "a", in_flight=2) == 2
    assert ask(holders, "b") == 2


def test_more_holders_than_connections_get_one_each_as_far_as_they_go() -> None:
    holders = Holders()
    assert [ask(holders, name, wanted=1, limit=2) for name in "abc"] == [1, 1, 0]


def test_a_silent_holder_keeps_its_connections_as_long_as_a_transfer_may_take() -> None:
    holders = Holders()
    ask(holders, "slow")
    assert ask(holders, "b", now_s=HOLDER_TIMEOUT_S + 0.1) == 0
    assert ask(holders, "b", now_s=TRANSFER_TIMEOUT_S + 0.1) == 4


def test_a_holder_that_is_known_to_be_gone_frees_its_connections_at_once() -> None:
    holders = Holders()
    ask(holders, "lost")
    holders.forget("lost")
    assert ask(holders, "b") == 4


def test_a_holder_that_stops_keeps_what_is_in_flight() -> None:
    holders = Holders()
    ask(holders, "a")
    holders.note_report("a", 0, 3, 0.0)
    holders.stop("a")
    assert ask(holders, "b") == 1


def test_retries_that_others_were_allowed_count_as_out() -> None:
    holders = Holders()
    holders.note_report("a", 9, 0, 0.0).retries = 3
    holders.note_report("b", 9, 1, 0.0).retries = 2
    assert holders.retries_out("b") == 3 + 1


@given(
    limit=st.integers(1, 6),
    asks=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.floats(0, 1)), max_size=60),
)
def test_connections_never_exceed_the_limit(limit: int, asks: list[tuple[str, int, float]]) -> None:
    holders, most, in_flight = Holders(), dict.fromkeys("abcd", 0), dict.fromkeys("abcd", 0)
    for name, wanted, used in asks:
        in_flight[name] = min(in_flight[name], round(most[name] * used))
        before = most[name]
        most[name] = ask(holders, name, wanted=wanted, in_flight=in_flight[name], limit=limit)
        in_flight[name] = max(in_flight[name], min(max(before, most[name]), in_flight[name] + wanted))
        assert sum(in_flight.values()) <= limit


def test_where_a_turn_needs_more_connections_than_are_left_a_holder_waits_for_its_turn() -> None:
    holders = Holders()
    holders.note_report("a", 9, 0, 0.0).allow(2)
    holders.note_report("b", 9, 0, 0.0)
    assert holders.connections_for("b", limit=4, turn=3) == 0
    assert holders.connections_for("b", limit=4, turn=2) == 2


def test_a_new_holder_has_nothing() -> None:
    holder = Holders().note_report("a", 2, 0, 1.5)
    assert (holder.asked_s, holder.wanted, holder.in_flight, holder.until_s, holder.retries) == (1.5, 2, 0, 0.0, 0)
    assert (holder.allowed, holder.allowed_before, holder.interval) == (0, 0, None)
    fresh = Holder()
    assert (fresh.asked_s, fresh.wanted, fresh.in_flight, fresh.held, fresh.needed) == (0.0, 0, 0, 0, 0)


def test_a_holder_has_what_the_larger_of_its_last_two_leases_allowed() -> None:
    holder = Holder()
    for connections, held in ((3, 3), (1, 3), (1, 1), (2, 2)):
        holder.allow(connections)
        assert holder.held == held
    holder.in_flight = 7
    assert holder.held == 7
    holder.wanted = 2
    assert holder.needed == 9


def test_holders_are_known_by_name_until_they_stop() -> None:
    holders = Holders()
    assert holders.get("a") is None
    holder = holders.note_report("a", 5, 1, 0.0)
    assert holders.get("a") is holder
    holder.allow(3)
    holder.allow(2)
    holder.retries = 2
    holders.stop("a")
    assert holders.get("a") is holder, "it has something in flight"
    assert (holder.allowed, holder.allowed_before, holder.retries, holder.interval) == (0, 0, 0, None)
    assert holders.in_flight == 1
    holders.note_report("a", 0, 0, 1.0)
    holders.stop("a")
    assert holders.get("a") is None
    assert holders.in_flight == 0


def test_those_that_asked_lately_and_want_something_are_active() -> None:
    holders = Holders()
    holders.note_report("a", 1, 0, 0.0)
    holders.note_report("b", 1, 0, 1.0)
    holders.note_report("c", 0, 4, 1.0)
    assert [holders.active(now_s) for now_s in (1.0, 2.0, 2.1, 3.0, 3.1)] == [2, 2, 1, 1, 0]


def test_a_share_that_others_do_not_need_is_anybodys() -> None:
    holders = Holders()
    holders.note_report("small", 1, 0, 0.0).allow(1)
    holders.note_report("idle", 0, 0, 0.0)
    holders.note_report("big", 99, 0, 0.0)
    assert holders.connections_for("big", limit=9) == 8
    holders.note_report("small", 99, 1, 0.0)
    assert holders.connections_for("big", limit=9) == 5, "half of nine, and the one that is left"
    holders.note_report("big", 99, 0, 0.0).allow(5)
    assert holders.connections_for("small", limit=9) == 4


def test_one_that_needs_less_than_a_turn_does_not_wait_for_one() -> None:
    holders = Holders()
    holders.note_report("a", 9, 0, 0.0).allow(3)
    holders.note_report("b", 1, 0, 0.0)
    assert holders.connections_for("b", limit=4, turn=3) == 1
    holders.note_report("b", 2, 0, 0.0)
    assert holders.connections_for("b", limit=4, turn=3) == 0


def test_retries_out_are_those_of_others_and_of_ones_own_what_is_in_flight() -> None:
    holders = Holders()
    holders.note_report("a", 9, 4, 0.0).retries = 3
    holders.note_report("b", 9, 1, 0.0).retries = 2
    assert (holders.retries_out("a"), holders.retries_out("b"), holders.retries_out("c")) == (5, 4, 5)
