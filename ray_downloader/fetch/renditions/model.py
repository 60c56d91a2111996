"""What a scheme finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class Rendition:
    """A version of a picture.

    Args:
        name: Such as `inaturalist medium`.
        url: Its URL.
        sizes_url: A document that says which versions there are, in case this one is refused; empty if there is none.
        shrinks_by: How many times longer the sides of the listed picture are, according to the names of both; 0 if they
            do not say.
    """

    name: str
    url: str
    sizes_url: str = ""
    shrinks_by: float = 0.0


def smallest(sizes_px: Mapping[_Name, int], least_px: int, below: int | None = None) -> _Name | None:
    """The name of the smallest size that is at least `least_px`, and smaller than `below`; None if there is none."""
    fitting = {name: size for name, size in sizes_px.items() if least_px <= size and (below is None or size < below)}
    return min(fitting, key=lambda name: fitting[name], default=None)
