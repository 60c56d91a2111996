"""A name that is gone is believed after three look-ups over half a minute, and not before."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.name_watch import LOOK_UPS, OVER_S, REMEMBERED_S, NameWatch


def after(*times_s: float, found_at_s: float = -1.0) -> bool:
    watch = NameWatch()
    for at_s in sorted([*times_s, *([found_at_s] if found_at_s >= 0 else [])]):
        watch.observe(is_no_such_name=at_s != found_at_s, ended_s=at_s)
    return watch.is_gone


@pytest.mark.parametrize(
    ("times_s", "is_gone"),
    [
        ((), False),
        ((0.0, 30.0), False),
        ((0.0, 10.0, 29.9), False),
        ((0.0, 10.0, 30.0), True),
        ((5.0, 20.0, 65.0), True),
        ((0.0, 1.0, 2.0, 9.9), False),
        ((0.0, 9.9, 31.0), False),
        ((100.0, 101.0, 102.0, 131.0), False),
        ((0.0, 9.9, 31.0, 41.0), True),
    ],
)
def test_three_look_ups_over_thirty_seconds(times_s: tuple[float, ...], is_gone: bool) -> None:
    assert after(*times_s) is is_gone


def test_anything_else_in_between_starts_the_count_anew() -> None:
    assert not after(0.0, 10.0, 30.0, found_at_s=20.0)
    assert after(0.0, 21.0, 31.0, 51.0, found_at_s=10.0)


def test_the_numbers_that_are_documented() -> None:
    assert (LOOK_UPS, OVER_S, REMEMBERED_S) == (3, 30.0, 10.0)
