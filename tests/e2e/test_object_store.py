"""A whole job whose results go to a real S3 server: killed, continued by a fresh machine, and read from there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.job import ENVIRONMENT, TIMEOUT_S, RunFolder, as_override, command
from tests.support.object_store import BUCKET, KEY, SECRET, RunningStore, running_store
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]

ROWS = 240
URL = f"s3://{BUCKET}/lab/run"
DATA = ("successes.parquet", "errors.parquet")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStore]:
    with running_store(tmp_path) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def call(server: RunningStore, arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, env={**ENVIRONMENT, **server.environment, "TMPDIR": str(cwd)},
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def finished(server: RunningStore) -> set[str]:
    """Batches whose marker is in the store; the tables of each must be there, and be those that it means."""
    there = server.objects(URL)
    found = {key.rpartition("/")[0] for key in there if key.endswith("/_completed")}
    for folder in found:
        read = server.open(URL).read(f"{folder}/_completed")
        assert read is not None
        for name, versions in json.loads(read[0])["files"].items():
            assert there[f"{folder}/{name}"].size_bytes in {facts["size_bytes"] for facts in versions}
    return found


def test_a_killed_run_is_continued_by_a_fresh_machine_and_read_from_the_store(
    tmp_path: Path, origin: RunningOrigin, server: RunningStore
) -> None:
    (tmp_path / "list.txt").write_text("".join(f"http://stored.example/photo/{n}.jpg\n" for n in range(ROWS)), "utf-8")
    arguments = [
        f"path_to_input={tmp_path / 'list.txt'}", f"path_to_output={URL}", "stages=[partition,download]",
        "downloader_parameters.default_rate_limit=20", "downloader_parameters.rate_multiplier=0",
        "downloader_parameters.batch_size=40", "cluster.task_seconds=1", "politeness.robots=ignore",
        as_override("network.connect_to", origin.connect_to),
    ]  # fmt: skip
    here, fresh = (f"cluster.work_folder={tmp_path / name}" for name in ("here", "fresh"))

    def asked() -> Counter[str]:
        return Counter(request.target for request in origin.files_seen("stored.example"))

    # 1. Killed as soon as the first batch is in the store; meanwhile no other machine may take the run.
    with subprocess.Popen(
        command(*arguments, here), cwd=tmp_path, env={**ENVIRONMENT, **server.environment}, stderr=subprocess.DEVNULL
    ) as process:
        until_s = time.monotonic() + 120  # of which Ray may need most to start
        while not finished(server) and time.monotonic() < until_s:
            assert process.poll() is None
            time.sleep(0.5)
        busy = call(server, ["ray_downloader", *arguments, fresh], tmp_path)
        process.send_signal(signal.SIGKILL)
    assert busy.returncode == 4, busy.stderr
    assert f"another run holds {URL}" in busy.stderr
    stored = finished(server)
    assert 0 < len(stored) < ROWS // 40
    before, (work,) = asked(), (tmp_path / "here").glob("*/*/run")
    ended = {  # by URL, of batches that are in the store
        target.removeprefix("http://stored.example")
        for folder in stored
        for target in pq.ParquetFile(work / folder / "successes.parquet").read(["identifier"])["identifier"].to_pylist()
    }
    # 2. A fresh machine knows nothing but the command.
    done = call(server, ["ray_downloader", *arguments, fresh], tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"report: {URL}/report.html" in done.stderr
    (work,) = (tmp_path / "fresh").glob("*/*/run")
    run = RunFolder(work)
    assert run.summary["rows"] == {"input": ROWS, "rejected": 0, "successes": ROWS, "errors": 0}
    assert set(run.settled_uuids().values()) == {1}
    assert len(finished(server)) == ROWS // 40
    assert all(asked()[target] == before[target] for target in ended), "what was in the store is not fetched again"
    # 3. Each marker went up after its tables.
    order = [key.removeprefix(f"{BUCKET}/lab/run/") for key in server.requests()]
    for folder in finished(server):
        last = max(order.index(f"{folder}/{name}") for name in DATA)
        assert order.index(f"{folder}/_completed") > last
    # 4. Read from the store, where no work folder can be seen; then a tool on the machine that has one.
    (tmp_path / "fresh").rename(tmp_path / "away")
    status = call(server, ["ray_downloader.status", URL, "--json"], tmp_path)
    assert json.loads(status.stdout)["rows"]["successes"] == ROWS, status.stderr
    report = call(server, ["ray_downloader.report", URL], tmp_path)
    assert report.stdout == f"{URL}/report.html\n", report.stderr
    control = call(server, ["ray_downloader.control", URL, "pause", "stored.example"], tmp_path)
    assert control.returncode == 2
    assert "give the order there" in control.stderr
    (tmp_path / "away").rename(tmp_path / "fresh")
    ordered = call(server, ["ray_downloader.control", URL, "pause", "stored.example"], tmp_path)
    assert ordered.returncode == 0, ordered.stderr
    tool = ["ray_downloader.tools", "tool=size_based", f"path_to_output={URL}"]
    other = call(server, [*tool, f"cluster.work_folder={tmp_path / 'third'}"], tmp_path)
    assert other.returncode == 0, other.stderr
    assert f"results are in: {URL}/tools/size_based" in other.stderr
    there = server.objects(URL)
    assert "tools/size_based/summary.json" in there
    assert not [key for key in there if key.endswith((".arrows", ".tmp", ".lock"))]
    # 5. Nowhere is a credential.
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert KEY.encode() not in content and SECRET.encode() not in content, path
