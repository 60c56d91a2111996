"""The main job as a user runs it: every row once, also after a kill; mistakes get one sentence."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SUCCESS_SCHEMA
from tests.support.commands import Commands
from tests.support.job import ENVIRONMENT, RunFolder, as_override, command, run_program
from tests.support.log import excess_over_budget
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

pytestmark = [pytest.mark.ray]

FAST = ("downloader_parameters.default_rate_limit=200", "politeness.max_connections=8", "stages=[partition,download]")


def write_list(folder: Path, lines: list[str]) -> Path:
    path = folder / "list.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_every_row_ends_once_with_its_reason(tmp_path: Path, origin: RunningOrigin) -> None:
    urls = [
        *(f"http://museum.example/photo/{n}.jpg" for n in range(40)),
        "http://museum.example/photo/0.jpg",
        *(f"http://broken.example/status/404/{n}.jpg" for n in range(12)),
        *(f"http://pages.example/html/{n}" for n in range(12)),
        "http://few.example/flaky/1.jpg?fail=1&status=502",
        "http://few.example/redirect/1?to=http://elsewhere.example/photo.jpg",
        "http://few.example/loop/1",
        "http://few.example/x-robots/1?value=noai",
        "ftp://museum.example/photo.jpg",
        "not a url",
    ]
    out = RunFolder(tmp_path / "out")
    done = run_program(
        f"path_to_input={write_list(tmp_path, urls)}", f"path_to_output={out.root}", *FAST,
        as_override("network.connect_to", origin.connect_to), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = out.summary
    assert summary["rows"] == {"input": 71, "rejected": 2, "successes": 43, "errors": 26}
    assert summary["rejected_by_reason"] == {"bad_url": 2}
    assert summary["errors_by_kind"] == {"http_4xx": 12, "not_image": 12, "opted_out": 1, "redirect_loop": 1}
    assert out.successes().drop_columns(["server_name"]).schema.equals(SUCCESS_SCHEMA), "of batches that servers share"
    assert out.errors().drop_columns(["server_name"]).schema.equals(ERROR_SCHEMA)
    assert out.settled_uuids().total() == 69
    asked = Counter(request.target for request in origin.seen("museum.example"))
    assert asked["/photo/0.jpg"] == 1, "equal URLs are fetched once"


@pytest.mark.thorough
def test_a_drained_and_then_a_killed_run_go_on_and_settle_each_row_once(
    tmp_path: Path, origin: RunningOrigin, commands: Commands
) -> None:
    rows = 540
    urls = [f"http://kill-{n % 3}.example/photo/{n}.jpg" for n in range(rows)]
    out = RunFolder(tmp_path / "out")
    arguments = (
        f"path_to_input={write_list(tmp_path, urls)}", f"path_to_output={out.root}", "stages=[partition,download]",
        "downloader_parameters.default_rate_limit=30", "downloader_parameters.rate_multiplier=0",
        "politeness.robots=ignore", as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip

    def asked() -> int:
        return sum(request.host.startswith("kill-") for request in origin.files_seen())

    @contextmanager
    def running(until_asked: int) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
            until_s = time.monotonic() + 120  # of which Ray may need most to start
            while asked() < until_asked and time.monotonic() < until_s:
                time.sleep(0.1)
            yield process

    # 1. Drained: what is in flight is finished, and nothing else; meanwhile nobody else may use the folder.
    with running(until_asked=50) as process:
        busy = commands.run("ray_downloader", arguments, tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 3
    assert busy.returncode == 4
    assert "another run holds" in busy.stderr
    report, drained_after = out.root / "report.html", asked()
    assert 50 <= drained_after < 240
    assert out.summary["rows"]["successes"] == drained_after, "no request was in vain"
    assert out.summary["unsettled_rows"] == rows - drained_after
    assert f'"images":{drained_after},"errors":0,"left":{rows - drained_after}' in report.read_text("utf-8")
    assert f"path_to_output={out.root}" in report.read_text("utf-8"), "in the command that continues"
    # 2. Killed: what was settled in the last second may be lost.
    with running(until_asked=drained_after + 250) as process:
        process.send_signal(signal.SIGKILL)
    killed_after = asked()
    assert killed_after < rows
    # 3. Started once more.
    done = run_program(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert out.summary["rows"]["successes"] == rows
    assert set(out.settled_uuids().values()) == {1}
    assert len(out.settled_uuids()) == rows
    assert f'"images":{rows},"errors":0,"left":0' in report.read_text("utf-8")
    asked_in_all = asked()
    assert asked_in_all - rows < killed_after - drained_after - 100, "what is settled is not fetched again"
    # 4. And again, with nothing left.
    idle = commands.run("ray_downloader", arguments, tmp_path)
    assert idle.returncode == 0
    assert asked() == asked_in_all


@pytest.mark.thorough
def test_the_budget_of_a_server_holds_over_tasks(tmp_path: Path) -> None:
    urls = [f"http://s{n % 4}.example/photo/{n}.jpg" for n in range(480)]
    out = tmp_path / "out"
    with running_origin(OriginOptions(limits={"*": HostLimit(25.0, burst=3)})) as origin:
        done = run_program(
            f"path_to_input={write_list(tmp_path, urls)}", f"path_to_output={out}", "stages=[partition,download]",
            "downloader_parameters.default_rate_limit=25", "downloader_parameters.rate_multiplier=0",
            "downloader_parameters.batch_size=40", "cluster.task_seconds=2",
            as_override("network.connect_to", origin.connect_to), cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for server in range(4):
            seen = origin.seen(f"s{server}.example")
            refused = sum(request.status == 429 for request in seen)
            assert refused <= 1, "a busy machine may send two at once that were spaced"
            robots = sum(request.target == "/robots.txt" for request in seen)
            assert robots <= 1, "tasks that begin together look again before they request it"
            photos = Counter(request.target for request in seen if request.target != "/robots.txt")
            assert len(photos) == 120
            assert photos.total() - 120 <= 2 * refused, "each once; after a refusal again, and one that was served"
            assert excess_over_budget(seen, rate_rps=25.0, burst=3) <= 0.5  # a busy origin looks up late


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["path_to_output=out"], "path_to_input is required"),
        (["+experiment=gbif", "path_to_output=out"], "Darwin Core Archive"),
        (["path_to_input=missing.txt", "path_to_output=out"], "missing.txt"),
        (["path_to_input=list.txt", "path_to_output=out", "image.qualty=3"], "qualty"),
        (["path_to_input=list.txt", "path_to_output=out", "image=bmp"], "jpeg"),
        (["path_to_input=list.txt", "path_to_output=out", "image.quality=300"], "image.quality=300"),
        (["path_to_input=list.txt", "path_to_output=out", "+image.qualty=3"], "did you mean image.quality?"),
        (["path_to_input=list.txt", "path_to_output=out", "dataset=gbf"], "gbif"),
        (["path_to_input=list.txt", "path_to_output=out", "retry_errors=[dsn]"], "dns"),
        (["path_to_input=list.txt", "path_to_output=/dev/null/out"], "path_to_output"),
    ],
)
@pytest.mark.xdist_group("commands")
def test_a_mistake_gets_one_sentence_and_exit_2(
    tmp_path: Path, commands: Commands, arguments: list[str], sentence: str
) -> None:
    write_list(tmp_path, ["http://museum.example/photo.jpg"])
    done = commands.run("ray_downloader", arguments, tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
