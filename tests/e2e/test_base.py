"""A month later: pictures that have not changed are kept, over a process that is killed, from a run that was moved."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support.job import ENVIRONMENT, RunFolder, as_override, command, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]


def test_a_later_run_asks_for_no_picture_that_it_has(tmp_path: Path, origin: RunningOrigin) -> None:
    kept = [f"http://a.example/photo/{number}.jpg" for number in range(60)]
    changed, vague = "http://a.example/changing/1.jpg", "http://a.example/vague/1.jpg"
    (tmp_path / "march.txt").write_text("\n".join([*kept, changed, vague, "http://a.example/photo/gone.jpg"]) + "\n")
    (tmp_path / "april.txt").write_text("\n".join([changed, vague, *reversed(kept), "http://b.example/new.jpg"]) + "\n")
    options = [
        as_override("network.connect_to", origin.connect_to), "downloader_parameters.default_rate_limit=20",
        "politeness.robots=ignore", "stages=[partition,download]",
    ]  # fmt: skip
    done = run_program("path_to_input=march.txt", "path_to_output=march", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "march").rename(tmp_path / "moved")
    before = len(origin.files_seen())

    linked = ["path_to_input=april.txt", "path_to_output=linked", "base=moved", *options]
    done = run_program(*linked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [seen.target for seen in origin.files_seen()[before:]] == ["/new.jpg"]
    out = RunFolder(tmp_path / "linked")
    assert out.summary["rows"] == {"input": 63, "rejected": 0, "successes": 63, "errors": 0}
    assert (out.summary["base"]["linked"], out.summary["base"]["vanished"]) == (62, 1)
    assert "photo/gone.jpg" in (tmp_path / "linked" / "vanished.csv").read_text()
    first = {row["identifier"]: row["image"] for row in RunFolder(tmp_path / "moved").successes().to_pylist()}
    assert all(first[row["identifier"]] == row["image"] for row in out.successes().to_pylist() if row["reused"])

    before = len(origin.files_seen())
    asked = ["path_to_input=april.txt", "path_to_output=asked", "base=moved", "refetch=changed", *options]
    with subprocess.Popen(command(*asked), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        while len(origin.files_seen()) < before + 15:
            assert process.poll() is None
        process.kill()
    done = run_program(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = RunFolder(tmp_path / "asked")
    assert out.summary["rows"] == {"input": 63, "rejected": 0, "successes": 63, "errors": 0}
    assert out.summary["base"]["not_modified"] == 60
    statuses = Counter(seen.status for seen in origin.files_seen()[before:])
    assert 60 <= statuses[304] <= 60 + 20, "a kill costs what was in flight"
    assert statuses[200] <= 3 + 3
