"""A snapshot of any version, or a damaged one, is read key by key."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from ray_downloader.politeness.server.snapshot import Reader


class Colour(str, Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3.0), (2.5, 2.5), (0, 0.0), (-1, 9.0), (None, 9.0), ("3", 9.0), (True, 9.0), (float("nan"), 9.0),
     (float("inf"), 9.0), (10**400, 9.0), ([1], 9.0)],
)  # fmt: skip
def test_a_number_is_finite_and_not_negative_or_the_default(value: Any, number: float) -> None:
    assert Reader({"a": value}).number("a", 9.0) == number
    assert Reader({}).number("a", 9.0) == 9.0


def test_a_count_is_whole_and_nothing_is_none() -> None:
    assert Reader({"a": 2.9}).count("a") == 2
    assert Reader({"a": "2"}).count("a") == 0


@pytest.mark.parametrize(
    ("value", "is_set"), [(True, True), (False, False), (1, False), ("true", False), (None, False)]
)
def test_a_flag_is_set_only_where_it_says_so(value: Any, is_set: bool) -> None:
    assert Reader({"a": value}).flag("a") is is_set


def test_texts_and_choices_are_those_that_are_known() -> None:
    assert (Reader({"a": "x"}).text("a"), Reader({"a": 5}).text("a"), Reader({}).text("a")) == ("x", "", "")
    assert Reader({"a": ["x", 5, "y"]}).texts("a") == Reader({"a": ("x", "y")}).texts("a") == ["x", "y"]
    assert Reader({"a": "xy"}).texts("a") == Reader({}).texts("a") == []
    assert Reader({"a": "red"}).choice("a", Colour) is Colour.RED
    assert Reader({"a": "blue"}).choice("a", Colour) is None
    assert Reader({}).choice("a", Colour) is None


@pytest.mark.parametrize(
    ("value", "uses"),
    [
        ([[1, 2], (3.5, 4)], [(1.0, 2.0), (3.5, 4.0)]),
        (([1, 2],), [(1.0, 2.0)]),
        ([[1, 2], [1], [1, 2, 3], "ab", [None, 2], [1, "x"], [-1, 2], 7], [(1.0, 2.0)]),
        ("ab", []),
        (None, []),
        ({"a": 1}, []),
    ],
)
def test_uses_are_pairs_and_others_are_left_out(value: Any, uses: list[tuple[float, float]]) -> None:
    assert Reader({"a": value}).uses("a") == uses
