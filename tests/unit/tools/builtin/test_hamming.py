"""Close hashes always meet under a mask."""

from __future__ import annotations

import math

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


def test_masks_are_bands_of_all_bits_cut_as_equal_as_can_be() -> None:
    assert masks(0, 10**9) == [-1], "equal hashes are equal in all bits"
    assert masks(1, 2) == [0xFFFFFFFF, -(1 << 32)]
    assert [mask & _ALL for mask in masks(2, 10)] == [(1 << 21) - 1, (1 << 42) - (1 << 21), (1 << 64) - (1 << 42)]


@pytest.mark.parametrize(
    ("distance", "hashes", "bands", "shared"),
    [
        (4, 2**12 - 1, 5, 1),  # 64 / 5 bits tell 4,095 apart
        (4, 2**12, 6, 2),
        (4, 2**20, 6, 2),
        (4, 2**21, 7, 3),
        (4, 2**27, 8, 4),
        (4, 2**60, 8, 4),
    ],
)
def test_more_hashes_share_more_bands(distance: int, hashes: int, bands: int, shared: int) -> None:
    found = [mask & _ALL for mask in masks(distance, hashes)]
    assert len(found) == math.comb(bands, shared)
    assert len(set(found)) == len(found)
    assert {mask.bit_count() for mask in found} <= set(
        range(64 * shared // bands - shared, 64 * shared // bands + shared + 1)
    )
