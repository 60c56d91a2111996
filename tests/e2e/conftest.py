"""For whole jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.commands import Commands, running_commands


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """For commands that end at once; their tests are of the group `commands`, so that one process serves them all."""
    with running_commands() as running:
        yield running
