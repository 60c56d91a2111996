"""Processes of Ray that are killed while a call into Ray waits for them; programs of their names take their place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ray_downloader.cluster.start_watch import StartWatch, watching_ray
from ray_downloader.errors import ExitCode

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a program of this name, which runs until it is killed."""
    program = shutil.which("sleep")
    assert program is not None

    def started(name: str) -> subprocess.Popen[bytes]:
        (tmp_path / name).symlink_to(program)
        return subprocess.Popen([tmp_path / name, "60"])

    return started


def end_by(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """The process has ended, and nobody has waited for it."""
    process.send_signal(number)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


class Ended:
    """What is called in place of the process's end."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.called = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.called.set()


def test_a_gcs_that_is_killed_while_the_block_waits_ends_the_process_with_a_sentence(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    end = Ended()
    with watching_ray(end, interval_s=0.01, patience_s=0) as watch, start("gcs_server") as gcs:
        gcs.kill()
        assert end.called.wait(30)
        assert gcs.wait() == -signal.SIGKILL, "whoever started it can still wait for it"
    assert end.codes == [ExitCode.STOPPED]
    assert caplog.messages == [f"{watch.killed}; the run stops, and the same command continues it"]


def test_a_block_that_ends_in_time_goes_on(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    end = Ended()
    with watching_ray(end, interval_s=0.01, patience_s=60) as watch, start("gcs_server") as gcs:
        end_by(gcs, signal.SIGKILL)
        while not watch.killed:
            os.sched_yield()
    assert not end.codes and not caplog.messages


@pytest.mark.parametrize(
    ("name", "number", "killed", "is_gcs"),
    [
        ("gcs_server", signal.SIGKILL, "Ray died: its gcs_server on ", True),
        ("raylet", signal.SIGKILL, "Ray died: its raylet on ", False),
        ("gcs_server", signal.SIGABRT, "", True),
        ("raylet", signal.SIGABRT, "", False),
        ("log_monitor", signal.SIGKILL, "", False),
    ],
)
def test_who_was_killed_is_known_when_it_is_seen_twice(
    start: Start, name: str, number: signal.Signals, killed: str, is_gcs: bool
) -> None:
    watch = StartWatch()
    with start(name) as process:
        watch.look()
        end_by(process, number)
        watch.look()
        assert watch.killed == watch.gcs_death == "", "Ray may have ended it, and waits for it"
        watch.look()
    assert watch.gcs_death.startswith("Ray died: its gcs_server on ") if is_gcs else watch.gcs_death == ""
    assert watch.killed.startswith(killed) and bool(watch.killed) == bool(killed)
    assert ("was killed by SIGKILL (memory in use now: " in watch.killed) == bool(killed)


def test_a_process_of_an_earlier_ray_is_none_of_this_one(start: Start) -> None:
    with start("gcs_server") as earlier:
        end_by(earlier, signal.SIGKILL)
        watch = StartWatch()
        watch.look()
        watch.look()
    assert watch.killed == watch.gcs_death == ""


def test_an_error_in_the_block_ends_the_watch() -> None:
    before = threading.active_count()
    with suppress(ValueError), watching_ray():
        raise ValueError("Ray did not start")
    assert threading.active_count() == before
