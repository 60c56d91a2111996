"""The main job as a user runs it: every row once, also after a kill; mistakes get one sentence."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SUCCESS_SCHEMA
from tests.support.job import ENVIRONMENT, RunFolder, as_override, command, run_program
from tests.support.log import excess_over_budget
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

pytestmark = [pytest.mark.ray, pytest.mark.slow]

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
    assert out.successes().schema.equals(SUCCESS_SCHEMA)
    assert out.errors().schema.equals(ERROR_SCHEMA)
    assert out.settled_uuids().total() == 69
    asked = Counter(request.target for request in origin.seen("museum.example"))
    assert asked["/photo/0.jpg"] == 1, "equal URLs are fetched once"


def test_a_killed_run_continues_and_settles_each_row_once(tmp_path: Path, origin: RunningOrigin) -> None:
    origin.forget()
    urls = [f"http://kill-{n % 3}.example/photo/{n}.jpg" for n in range(600)]
    out = RunFolder(tmp_path / "out")
    arguments = (
        f"path_to_input={write_list(tmp_path, urls)}", f"path_to_output={out.root}", "stages=[partition,download]",
        "downloader_parameters.default_rate_limit=30", "downloader_parameters.rate_multiplier=0",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    with subprocess.Popen(command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while len(origin.seen()) < 300 and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    killed_after = len(origin.seen())
    assert 300 <= killed_after < 600
    done = run_program(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert out.summary["rows"]["successes"] == 600
    assert set(out.settled_uuids().values()) == {1}
    assert len(out.settled_uuids()) == 600
    again = len(origin.seen()) - 600
    assert again < killed_after - 100, "rows settled before the kill are not fetched again"
    idle = run_program(*arguments, cwd=tmp_path)
    assert idle.returncode == 0
    assert len(origin.seen()) == 600 + again


def test_a_drained_run_says_3_and_the_same_command_ends_it(tmp_path: Path, origin: RunningOrigin) -> None:
    urls = [f"http://drain.example/photo/{n}.jpg" for n in range(300)]
    out = RunFolder(tmp_path / "out")
    arguments = (
        f"path_to_input={write_list(tmp_path, urls)}", f"path_to_output={out.root}", "stages=[partition,download]",
        "downloader_parameters.default_rate_limit=30", as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    with subprocess.Popen(command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while len(origin.seen("drain.example")) < 50 and time.monotonic() < until:
            time.sleep(0.1)
        busy = run_program(*arguments, cwd=tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 3
    assert busy.returncode == 4
    assert "another run holds" in busy.stderr
    stopped_at = out.summary["rows"]["successes"]
    assert 0 < stopped_at < 300
    assert stopped_at + out.summary["unsettled_rows"] == 300
    assert run_program(*arguments, cwd=tmp_path).returncode == 0
    assert out.settled_uuids().total() == 300


def test_named_errors_are_tried_again_and_only_those(tmp_path: Path, origin: RunningOrigin) -> None:
    urls = [f"http://again.example/flaky/{n}.jpg?fail=3&status=500" for n in range(4)]
    urls += [f"http://again.example/status/404/{n}.jpg" for n in range(8)]
    out = RunFolder(tmp_path / "out")
    arguments = (
        f"path_to_input={write_list(tmp_path, urls)}", f"path_to_output={out.root}", *FAST, "network.max_attempts=1",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    assert run_program(*arguments, cwd=tmp_path).returncode == 0
    assert out.summary["errors_by_kind"] == {"http_4xx": 8, "http_5xx": 4}
    for expected in ({"http_4xx": 8, "http_5xx": 4}, {"http_4xx": 8, "http_5xx": 4}, {"http_4xx": 8}):
        assert run_program(*arguments, "retry_errors=[http_5xx]", cwd=tmp_path).returncode == 0
        assert out.summary["errors_by_kind"] == expected
    assert out.summary["rows"]["successes"] == 4
    assert max(Counter(request.target for request in origin.seen("again.example")).values()) == 4


def test_the_budget_of_a_server_holds_over_tasks(tmp_path: Path) -> None:
    urls = [f"http://s{n % 4}.example/photo/{n}.jpg" for n in range(800)]
    out = tmp_path / "out"
    with running_origin(OriginOptions(limits={"*": HostLimit(25.0, burst=3)})) as origin:
        done = run_program(
            f"path_to_input={write_list(tmp_path, urls)}", f"path_to_output={out}", "stages=[partition,download]",
            "downloader_parameters.default_rate_limit=25", "downloader_parameters.rate_multiplier=0",
            "downloader_parameters.batch_size=60", "cluster.task_seconds=3",
            as_override("network.connect_to", origin.connect_to), cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for server in range(4):
            seen = origin.seen(f"s{server}.example")
            assert len(seen) == 201, "the rows and robots.txt, each once"
            assert excess_over_budget(seen, rate_rps=25.0, burst=1) <= 0.5


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
def test_a_mistake_gets_one_sentence_and_exit_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    write_list(tmp_path, ["http://museum.example/photo.jpg"])
    done = run_program(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
