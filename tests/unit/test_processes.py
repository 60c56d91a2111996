"""How processes are ended: those that listen, and those that do not. All are real, small, and end at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from ray_downloader import processes
from ray_downloader.processes import end_by_input, end_by_signal, may_be_alive, started_s

LISTENS = "import sys; print('up', flush=True); sys.stdin.read(); sys.exit(3)"
DEAF_TO_INPUT = "import time; print('up', flush=True); time.sleep(600)"
DEAF_TO_SIGNALS = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); " + (
    "sys.stdin.read()"
)


def started(code: str) -> subprocess.Popen[str]:
    """A process that runs the code, once it has printed that it is up."""
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_a_process_that_watches_its_input_ends_by_itself() -> None:
    with started(LISTENS) as process:
        end_by_input(process, 60.0)
        assert process.returncode == 3


def test_a_process_that_does_not_watch_its_input_is_terminated_after_the_patience() -> None:
    with started(DEAF_TO_INPUT) as process:
        end_by_input(process, 0.05)
        assert process.wait() == -signal.SIGTERM


@pytest.mark.parametrize(
    ("code", "patience_s", "ended_by"),
    [(LISTENS, 60.0, signal.SIGTERM), (DEAF_TO_SIGNALS, 0.05, signal.SIGKILL)],
    ids=["listens", "deaf"],
)
def test_a_process_is_signalled_and_then_killed(code: str, patience_s: float, ended_by: signal.Signals) -> None:
    with started(code) as process:
        end_by_signal(process, patience_s)
        assert process.wait() == -ended_by


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    at_s = started_s(psutil.Process())
    assert may_be_alive(os.getpid(), at_s) and may_be_alive(os.getpid(), at_s + 0.9)
    assert not may_be_alive(os.getpid(), at_s - 1.1), "another has the number now"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps the Unix time of a start")
@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_process_is_known_although_the_clock_was_set_since(monkeypatch: pytest.MonkeyPatch, ahead_s: float) -> None:
    """Linux keeps the time of a start since the machine's own, which is another Unix time then."""
    before_s = started_s(psutil.Process())
    create_time, boot_time = psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create_time(process) + ahead_s)
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time() + ahead_s)
    assert may_be_alive(os.getpid(), before_s)


@pytest.mark.parametrize("pid", [-1, 10**7, 10**30, None, "x", [], 1.5], ids=repr)
def test_what_is_no_process_is_not_alive(pid: Any) -> None:
    assert not may_be_alive(pid, 1.0)
    assert not may_be_alive(os.getpid(), None)


def test_a_process_about_which_the_system_says_nothing_may_be_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> None:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(
        processes, "psutil", SimpleNamespace(Process=refuse, Error=psutil.Error, NoSuchProcess=psutil.NoSuchProcess)
    )
    assert may_be_alive(7, 1.0)
