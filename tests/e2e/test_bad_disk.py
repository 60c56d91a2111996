"""A disk that fills up, and files that are damaged in the middle of a run: a sentence, and the same command goes on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import support
from tests.support.attacks import attacking_server
from tests.support.job import ENVIRONMENT, RunFolder, as_override, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]

ROWS = 300


def mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True)


def used(disk: Path, what: str) -> int:
    done = subprocess.run(["df", f"--output={what}", disk], capture_output=True, check=True)
    return int(done.stdout.split()[1])


@pytest.fixture
def quota_library(tmp_path: Path) -> Path:
    """Gives the processes that preload it a disk quota."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library, source = tmp_path / "quota.so", Path(support.__file__).with_name("quota.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount(folder, "size=50m")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_and_costs_no_row(tmp_path: Path, small_disk: Path, origin: RunningOrigin) -> None:
    (tmp_path / "list.txt").write_text("".join(f"http://full-{n % 3}.example/photo/{n}.jpg\n" for n in range(ROWS)))
    out = RunFolder(small_disk / "out")
    arguments = (
        f"path_to_input={tmp_path / 'list.txt'}", f"path_to_output={out.root}", "stages=[partition,download]",
        "downloader_parameters.default_rate_limit=200", "politeness.max_connections=8", "cluster.num_cpus=2",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    assert run_program(*arguments, "stages=[partition]", cwd=tmp_path).returncode == 0
    few_inodes, little_space = used(small_disk, "iused") + 12, used(small_disk, "used") + 500
    seen = 0
    for lack in (f"nr_inodes={few_inodes}", f"nr_inodes=0,size={little_space}k"):
        subprocess.run(["mount", "-o", f"remount,{lack}", small_disk], check=True)
        full = run_program(*arguments, cwd=tmp_path)
        assert full.returncode == 1, full.stderr
        assert "Traceback" not in full.stderr, full.stderr
        assert re.search(r"ray_downloader: .*no space or no inodes are left .*same command continues", full.stderr)
        before, seen = seen, len(origin.files_seen())
        assert seen - before < ROWS, "it stops when it notices"
    assert seen

    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    for name in ("settings.json", "run.json", "checkpoint.json", "logs/progress.json", "schedules/servers.json"):
        (out.root / name).parent.mkdir(exist_ok=True)
        (out.root / name).write_bytes(b"\xff\xfe{" * 20)
    done = run_program(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    named = re.findall(r"(\S+) is damaged", done.stderr)
    assert {Path(name).name for name in named} >= {"settings.json", "run.json", "checkpoint.json", "servers.json"}
    assert out.summary["rows"] == {"input": ROWS, "rejected": 0, "successes": ROWS, "errors": 0}
    assert out.settled_uuids().total() == len(out.settled_uuids()) == ROWS
    times = Counter(request.target for request in origin.files_seen())
    again = sum(count - 1 for count in times.values())
    assert again <= ROWS // 3, f"{again} of {ROWS} were fetched again"


def test_a_quota_that_is_used_up_is_one_sentence_and_costs_no_row(
    tmp_path: Path, small_disk: Path, quota_library: Path, origin: RunningOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.txt").write_text("".join(f"http://quota-{n % 3}.example/photo/{n}.jpg\n" for n in range(ROWS)))
    out = RunFolder(small_disk / "out")
    arguments = (
        f"path_to_input={tmp_path / 'list.txt'}", f"path_to_output={out.root}", "stages=[partition,download]",
        "downloader_parameters.default_rate_limit=200", "politeness.max_connections=8", "cluster.num_cpus=2",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setitem(ENVIRONMENT, "LD_PRELOAD", str(quota_library))
        patch.setitem(ENVIRONMENT, "QUOTA_FOLDER", str(small_disk))
        patch.setitem(ENVIRONMENT, "QUOTA_BYTES", "60000")
        full = run_program(*arguments, cwd=tmp_path)
        assert (full.returncode, "Traceback" in full.stderr) == (1, False), full.stderr
        assert re.search(
            r"ray_downloader: .*\.partition: no space is left .*make room, and the same command", full.stderr
        )
        patch.delitem(ENVIRONMENT, "QUOTA_BYTES")
        assert run_program(*arguments, "stages=[partition]", cwd=tmp_path).returncode == 0
        patch.setitem(ENVIRONMENT, "QUOTA_BYTES", str(1024 * (used(small_disk, "used") + 500)))
        full = run_program(*arguments, cwd=tmp_path)
        assert (full.returncode, "Traceback" in full.stderr) == (1, False), full.stderr
        assert re.search(r"ray_downloader: .*the quota of its disk is used up; .*same command continues", full.stderr)
    seen = len(origin.files_seen("quota-0.example"))
    assert 0 < seen < ROWS // 3, "it stops when it notices"

    done = run_program(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert out.summary["rows"] == {"input": ROWS, "rejected": 0, "successes": ROWS, "errors": 0}
    assert out.settled_uuids().total() == len(out.settled_uuids()) == ROWS


def test_scratch_without_room_for_a_body_is_one_sentence_and_costs_no_row(tmp_path: Path, small_disk: Path) -> None:
    urls = [f"http://large.example/announced-150mb/{n}" for n in range(2)]
    urls += [f"http://small.example/good/{n}" for n in range(30)]
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n")
    out = RunFolder(tmp_path / "out")
    with attacking_server() as address:
        arguments = (
            f"path_to_input={tmp_path / 'list.txt'}", f"path_to_output={out.root}", "stages=[partition,download]",
            "politeness=unlimited", "politeness.robots=ignore", "cluster.num_cpus=1",
            as_override("network.connect_to", {"*:80": address}),
        )  # fmt: skip
        full = run_program(*arguments, f"cluster.scratch={small_disk}", cwd=tmp_path)
        assert full.returncode == 1, full.stderr
        assert "Traceback" not in full.stderr, full.stderr
        sentence = rf"ray_downloader: cluster\.scratch={small_disk} cannot take a large body: No space left on device"
        assert re.search(sentence, full.stderr)
        assert not list(small_disk.iterdir()), "files of bodies have no names"
        done = run_program(*arguments, f"cluster.scratch={tmp_path}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert out.summary["rows"] == {"input": 32, "rejected": 0, "successes": 32, "errors": 0}
    assert out.settled_uuids().total() == len(out.settled_uuids()) == 32
