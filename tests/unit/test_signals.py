"""A signal that comes while Ray shuts down does not change the exit code, whatever Ray does to the handlers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode
from ray_downloader.signals import (
    StopRequested,
    deferring_signals,
    ignoring_signals,
    run_until_stopped,
    stopping_on_signals,
)

#: What Ray does in C++ when it shuts down.
_RESETS = """
import ctypes, signal, sys, time
from ray_downloader.signals import ignoring_signals

with ignoring_signals():
    ctypes.CDLL(None).signal(signal.SIGTERM, 0)
    time.sleep(0.2)
    print("reset", flush=True)
    sys.stdin.read()
sys.exit(7)
"""


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_after_the_handlers_were_reset_is_ignored(name: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _RESETS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == b"reset\n"
        process.send_signal(name)
        process.stdin.close()
        assert process.wait(30) == 7


def run_ended_by(raised: Callable[[], ExitCode]) -> ExitCode:
    settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": "out"})
    return run_until_stopped(raised, settings)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_that_ray_turns_into_an_interrupt_is_still_a_request_to_stop(
    name: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen at `ray.wait`: a job of Slurm that was drained while Ray started was not requeued."""

    def work() -> ExitCode:
        try:
            os.kill(os.getpid(), name)
            signal.pause()
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None
        return ExitCode.SETTLED

    assert run_ended_by(work) is ExitCode.STOPPED
    assert f"{name.name}: stopped; the same command continues" in caplog.text


def test_the_users_own_interrupt_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> ExitCode:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ended_by(work)
    assert not caplog.text


def test_afterwards_signals_are_what_they_were() -> None:
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
    try:
        with ignoring_signals():
            os.kill(os.getpid(), signal.SIGTERM)
        assert not came
        os.kill(os.getpid(), signal.SIGTERM)
        assert came
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as in a terminal; what a script starts with `&` ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, StopRequested), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_comes_after_what_must_not_be_interrupted_and_a_second_one_at_once(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    steps: list[str] = []
    with pytest.raises(raised), stopping_on_signals():
        with deferring_signals():
            signal.raise_signal(number)
            steps.append("joined")
        steps.append("never")
    assert steps == ["joined"]
    with pytest.raises(raised), stopping_on_signals(), deferring_signals():
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        steps.append("second")
    assert steps == ["joined", "second"]


@pytest.mark.usefixtures("interruptible")
def test_a_signal_that_is_ignored_remains_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferring_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_signal_is_why_a_run_ends_even_if_what_it_came_into_failed() -> None:
    with pytest.raises(StopRequested), stopping_on_signals(), deferring_signals():
        signal.raise_signal(signal.SIGTERM)
        raise ConnectionError


def test_handlers_that_the_block_sets_are_undone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with deferring_signals():
        signal.signal(signal.SIGTERM, lambda *_: None)
    assert signal.getsignal(signal.SIGTERM) is before
