"""For `near_duplicates`: which bits two hashes must share if they differ in few, by the pigeonhole principle. Pure.

Cut 64 bits into `distance + k` bands: two hashes that differ in at most `distance` bits agree in at least `k` whole
bands. So each close pair meets in an equality join over some choice of `k` bands, and not all pairs are compared. More
bands mean more joins, each of them more selective; their number grows with that of the hashes.
"""

from __future__ import annotations

from itertools import combinations, pairwise

BITS = 64
#: Beyond this, more joins cost more than they save.
_MAX_SHARED = 4


def masks(distance: int, hashes: int) -> list[int]:
    """Masks, as signed 64-bit numbers, such that a pair at most `distance` apart is equal under at least one.

    Args:
        distance: Bits in which a pair may differ.
        hashes: The number of distinct hashes; the bits of a mask should distinguish about as many.
    """
    shared = next((k for k in range(1, _MAX_SHARED) if BITS * k // (distance + k) >= hashes.bit_length()), _MAX_SHARED)
    bands = _bands(distance + shared)
    return [_signed(sum(chosen)) for chosen in combinations(bands, shared)]


def _bands(count: int) -> list[int]:
    """Masks of adjacent bits that together cover all bits, as equal in size as possible."""
    edges = [BITS * index // count for index in range(count + 1)]
    return [(1 << end) - (1 << start) for start, end in pairwise(edges)]


def _signed(value: int) -> int:
    return value - (1 << BITS) if value.bit_length() == BITS else value
