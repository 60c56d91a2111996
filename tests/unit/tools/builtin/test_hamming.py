"""Close hashes always meet under a mask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.tools.builtin.hamming import masks

_ALL = (1 << 64) - 1


@given(
    value=st.integers(0, _ALL),
    flips=st.sets(st.integers(0, 63), max_size=8),
    hashes=st.sampled_from([1, 10**4, 10**6, 10**9]),
)
def test_two_hashes_as_close_as_promised_are_equal_under_a_mask(value: int, flips: set[int], hashes: int) -> None:
    other = value ^ sum(1 << bit for bit in flips)
    assert any((value & mask) == (other & mask) for mask in (one & _ALL for one in masks(len(flips), hashes)))


@pytest.mark.parametrize("distance", range(1, 9))
def test_masks_tell_more_hashes_apart_where_there_are_more(distance: int) -> None:
    def bits(hashes: int) -> int:
        return min((mask & _ALL).bit_count() for mask in masks(distance, hashes))

    assert bits(10**6) >= bits(10**3)
    assert all(-(1 << 63) <= mask < 1 << 63 for mask in masks(distance, 10**6))
    assert bits(10**6) >= 20
