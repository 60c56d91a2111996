"""Chromium, if this machine has one: Debian's package and `playwright`, which drives it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: Checks pages for what keeps people out. It is fetched from npm once, or the test is skipped.
AXE = "axe-core@4.10.3"
CACHE = Path(__file__).parents[2] / ".cache" / "axe"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def axe() -> str:
    script = CACHE / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core is not there, and there is no npm to fetch it")
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", AXE]
        if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
            pytest.skip("npm could not fetch axe-core")
    return script.read_text("utf-8")
