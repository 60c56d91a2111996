"""The sums that budget tests rely on must themselves be right."""

from __future__ import annotations

import pytest

from tests.support.log import Seen, excess_over_budget, most_in_window


def _seen(*times_s: float) -> list[Seen]:
    return [Seen(at_s, "h", "/", 200, "", "", 1, 1, False) for at_s in times_s]


def test_most_in_window_finds_the_densest_stretch() -> None:
    assert most_in_window(_seen(0.0, 1.0, 1.2, 1.4, 5.0), 0.5) == 3
    assert most_in_window([], 1.0) == 0


def test_a_lawful_sequence_has_no_excess() -> None:
    assert excess_over_budget(_seen(0.0, 0.5, 1.0, 1.5), rate_rps=2.0, burst=1) == pytest.approx(0.0)


def test_the_excess_is_that_of_the_worst_window() -> None:
    assert excess_over_budget(_seen(0.0, 10.0, 10.0, 10.0, 20.0), rate_rps=2.0, burst=1) == pytest.approx(2.0)
