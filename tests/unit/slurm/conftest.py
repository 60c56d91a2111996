"""Slurm's commands as small scripts on the PATH, which write down how they were called."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

#: `fake(name, shell)` puts a command on the PATH and returns a function that lists its calls.
Fake = Callable[[str, str], Callable[[], list[str]]]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, shell: str) -> Callable[[], list[str]]:
        calls = tmp_path / f"{name}.calls"
        calls.touch()
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{shell}\n')
        path.chmod(0o755)
        return lambda: calls.read_text().splitlines()

    return make
