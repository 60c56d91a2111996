"""A run folder with two batches of small pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stored import StoredRun, received, row
from tests.unit.tools.cluster import HereCluster, install


@pytest.fixture
def run(tmp_path: Path) -> StoredRun:
    """Two batches: a, b and a copy of a's bytes; a again with full licence, and a small picture."""
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1)), row("b", received(2)), row("c", received(1))])
    full = {"is_license_full": True, "license": "CC BY 4.0", "source": "Museum", "title": "A | B"}
    run.add([row("d", received(1), **full), row("e", received(3, height=20, width=30))], "b.example:8080", 3)
    return run


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> HereCluster:
    """In the place of Ray."""
    return install(monkeypatch)
