"""A worker and its decoder process stay within 1.2 GB and lose no row, whatever the bodies are. Real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.attacks import attacking_server
from tests.support.running import CHECKOUT

MOST_MB = 1200
GOOD = {"good": {"success": 20}}


def attacked(folder: Path, fetcher: str, attacks: dict[str, int], encode: str = "jpeg") -> dict[str, Any]:
    """What `attacked_worker` reports after these attacks, so many of each, among healthy rows."""
    urls = [
        f"http://{name}.example/{name}/{n}" for name, count in {**attacks, "good": 20}.items() for n in range(count)
    ]
    with attacking_server() as address:
        worker = subprocess.run(
            [sys.executable, "-m", "tests.support.attacked_worker", str(folder), address, fetcher, encode, *urls],
            cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
    assert worker.returncode == 0, worker.stderr
    report: dict[str, Any] = json.loads(worker.stdout)
    assert report["most_mb"]["both"] <= MOST_MB, report
    assert report["left"] == [0, 0], "what was charged is given back"
    print(report["most_mb"])  # noqa: T201 (the figures of SECURITY.md)
    return report


@pytest.mark.thorough
@pytest.mark.parametrize("fetcher", ["curl", "requests"])
def test_bodies_of_150_mb_and_gzip_bombs(tmp_path: Path, fetcher: str) -> None:
    attacks = {"announced-150mb": 12, "chunked-150mb": 2, "gzip-200mb": 4, "gzip-200mb-within-the-ratio": 2}
    assert attacked(tmp_path, fetcher, attacks)["kinds"] == GOOD | {
        "announced-150mb": {"success": 12},
        "chunked-150mb": {"success": 2},
        "gzip-200mb": {"too_large": 4},
        "gzip-200mb-within-the-ratio": {"decode_failed": 2},
    }


@pytest.mark.thorough
def test_bodies_of_150_mb_that_are_stored_as_they_are(tmp_path: Path) -> None:
    attacks = {"announced-150mb": 6, "chunked-150mb": 2}
    assert attacked(tmp_path, "curl", attacks, "original")["kinds"] == GOOD | {
        name: {"success": count} for name, count in attacks.items()
    }


@pytest.mark.thorough
def test_pictures_that_take_memory_or_time(tmp_path: Path) -> None:
    framed = dict.fromkeys(
        ("interlaced-9000", "webp-12-frames", "gif-12-frames", "tiff-30-pages", "png-texts-500mb"), 1
    )
    refused, decoded = {"rgba16-13000": 2, "rgb8-13000": 2}, {"rgb8-10000": 1, "rgba8-8500": 1}
    decoded |= framed
    attacks = {**refused, **decoded, "ff01-3mb": 10, "scans-2000": 10, "scans-400": 1}
    kinds = attacked(tmp_path, "curl", attacks)["kinds"]
    assert kinds.pop("scans-400").keys() <= {"success", "decode_failed"}, "slow machines stop it"
    assert kinds == GOOD | {
        **{name: {"too_many_pixels": count} for name, count in refused.items()},
        **{name: {"success": count} for name, count in decoded.items()},
        "ff01-3mb": {"decode_failed": 10},
        "scans-2000": {"decode_failed": 10},
    }
