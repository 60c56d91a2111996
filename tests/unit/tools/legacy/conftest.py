"""Each test registers tools of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ray_downloader.tools.legacy import register


@pytest.fixture(autouse=True)
def _own_register() -> Iterator[None]:
    before = {name: dict(steps) for name, steps in register._FAMILIES.items()}
    register._FAMILIES.clear()
    yield
    register._FAMILIES.clear()
    register._FAMILIES.update(before)
