from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.profile.assign import BudgetJobs, balanced_shares, spread_positions


def pieces(costs_s: Sequence[float]) -> list[BudgetJobs]:
    return [BudgetJobs(f"server{index}", (), 1.0, cost_s) for index, cost_s in enumerate(costs_s)]


@given(st.lists(st.floats(0.1, 100), max_size=40), st.integers(1, 9))
def test_every_piece_is_given_to_exactly_one_rank(costs_s: list[float], ranks: int) -> None:
    shares = balanced_shares(pieces(costs_s), ranks)
    assert len(shares) == ranks
    assert sorted(piece.budget_key for share in shares for piece in share) == sorted(
        piece.budget_key for piece in pieces(costs_s)
    )


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=40), st.integers(1, 9))
def test_no_rank_has_more_than_an_even_share_and_one_piece(costs_s: list[float], ranks: int) -> None:
    loads = [sum(piece.cost_s for piece in share) for share in balanced_shares(pieces(costs_s), ranks)]
    assert max(loads) <= sum(costs_s) / ranks + max(costs_s) + 1e-6


def test_the_order_of_the_servers_makes_no_difference() -> None:
    work = pieces([3.0, 3.0, 1.0, 5.0, 2.0])
    assert balanced_shares(work, 3) == balanced_shares(list(reversed(work)), 3)


def test_more_ranks_than_servers_leave_some_without_work() -> None:
    assert [len(share) for share in balanced_shares(pieces([1.0]), 3)] == [1, 0, 0]


@given(st.integers(1, 10_000), st.integers(1, 20))
def test_samples_are_spread_over_all_rows_without_repeating(rows: int, count: int) -> None:
    positions = spread_positions(rows, count)
    assert len(set(positions)) == min(rows, count)
    assert list(positions) == sorted(positions)
    assert positions[0] >= 0 and positions[-1] < rows


def test_samples_lie_in_the_middle_of_equal_parts() -> None:
    assert list(spread_positions(100, 5)) == [10, 30, 50, 70, 90]
