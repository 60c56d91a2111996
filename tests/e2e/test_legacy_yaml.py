"""The YAML of the legacy project's README, with only its two paths changed, downloads and resizes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.job import ENVIRONMENT, TIMEOUT_S, RunFolder
from tests.support.running import RunningOrigin
from tests.unit.config.test_legacy_yaml import README

pytestmark = [pytest.mark.ray, pytest.mark.thorough]

CODE = """
from ray_downloader import apply_tools, download_images
print(download_images("config.yaml"), apply_tools("config.yaml", "resize"))
"""


def python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_the_yaml_of_its_readme_downloads_and_resizes(tmp_path: Path, origin: RunningOrigin) -> None:
    rows = [f"{n:08x}-0000-4000-8000-000000000000,http://readme.example/photo/{n}.jpg,{n}" for n in range(30)]
    (tmp_path / "urls.csv").write_text("\n".join(["uuid,identifier,source_id", *rows]) + "\n")
    text = README.replace("/data/urls.csv", str(tmp_path / "urls.csv")).replace("/data/out", str(tmp_path / "out"))
    # What only a test without the internet needs: where the list's host is, and how fast it may be asked.
    text += f"network: {{connect_to: {origin.connect_to}}}\npoliteness: {{contact: test@readme.example}}\n"
    text += "cluster: {num_cpus: 2}\nprofile: {max_seconds: 5}\n"
    (tmp_path / "config.yaml").write_text(text)
    done = python(CODE, tmp_path)
    assert (done.returncode, done.stdout.split()) == (0, ["0", "0"]), done.stderr
    out = RunFolder(tmp_path / "out")
    assert out.summary["rows"] == {"input": 30, "rejected": 0, "successes": 30, "errors": 0}
    assert sorted(out.successes(["uuid"])["uuid"].to_pylist())[1].startswith("00000001-"), "the list's uuids are kept"
    assert list((out.root / "tools" / "resize" / "images").glob("*/*/successes.parquet"))
