"""What a scheme finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

_Name = TypeVar("_Name")


@dataclass(frozen=True, slots=True)
class Rendition:
    """A version of a picture: its name, such as `inaturalist medium`, and its URL."""

    name: str
    url: str


def smallest(sizes_px: Mapping[_Name, int], least_px: int, below: int | None = None) -> _Name | None:
    """The name of the smallest size that is at least `least_px`, and smaller than `below`; None if there is none."""
    fitting = {name: size for name, size in sizes_px.items() if least_px <= size and (below is None or size < below)}
    return min(fitting, key=lambda name: fitting[name], default=None)
