"""Marks cases of a test that repeat others of its cases in odd surroundings: `make test-thorough` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet


def thorough(*values: object) -> ParameterSet:
    """A case that `make test` leaves to `make test-thorough`."""
    return pytest.param(*values, marks=pytest.mark.thorough)
