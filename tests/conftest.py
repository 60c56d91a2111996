"""Fixtures for all tests: the loopback origin, and real lists and pictures where they lie beside the checkout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.options import OriginOptions
from tests.support.running import CHECKOUT, RunningOrigin, running_origin

# A machine that is busy is no failure.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def origin() -> Iterator[RunningOrigin]:
    """One origin for the whole session; tests keep apart by using host names of their own."""
    with running_origin(OriginOptions(tls=True)) as running:
        yield running


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real lists and pictures; tests that need it are skipped without it."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no ../shared/data beside the checkout")
    return folder
