"""Signals that end a run: raised as an exception, or passed to a stage that drains by itself."""

from __future__ import annotations

import ctypes
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, RayLostError

#: SIGTERM comes from `kill` and from a cancelled job, SIGUSR1 from Slurm ahead of the time limit; Windows lacks it.
NAMES = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))

#: For so long a library may have reset a signal.
_IGNORE_AGAIN_S = 0.002

_log = logging.getLogger(__name__)


class StopRequested(KeyboardInterrupt):
    """The run should end now; the same command continues it."""


def run_until_stopped(
    work: Callable[[], ExitCode], settings: Settings, settled_rows: Callable[[], int] = int
) -> ExitCode:
    """The result of `work`, or `STOPPED` if a signal came first; a Slurm job is then put back into the queue.

    Args:
        work: The run.
        settings: Its settings.
        settled_rows: Rows with a result so far: a run that settles none does not count as one of a Slurm job.
    """
    before, seen = settled_rows(), len(_requests)
    try:
        with stopping_on_signals():
            exit_code = work()
    except KeyboardInterrupt as interrupt:
        if not isinstance(interrupt, StopRequested) and len(_requests) == seen:
            raise
        reason = interrupt if isinstance(interrupt, StopRequested) else _requests[-1]
        _log.warning("%s: stopped; %s continues", reason, same_command(settings))
        exit_code = ExitCode.STOPPED
    except RayLostError as loss:
        _log.error("%s: stopped; %s continues", loss, same_command(settings))
        exit_code = ExitCode.STOPPED
    if exit_code is ExitCode.STOPPED and settings.cluster.name == "slurm":
        from ray_downloader.slurm.requeue import requeue_stopped_job  # noqa: PLC0415 (only a Slurm job needs it)

        requeue_stopped_job(settings, is_idle=settled_rows() <= before)
    return exit_code


def same_command(settings: Settings) -> str:
    """How to continue a run, in words: `reset` would start over, except in a job that Slurm requeues itself."""
    return f"the same command without reset={settings.reset}" if settings.reset else "the same command"


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `StopRequested` in the main thread when one of the signals comes; other threads cannot listen."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.signal(name, _stop) for name in NAMES}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def deferring_signals() -> Iterator[None]:
    """Let a block end that leaves things half done if it is interrupted, as `ray.init`; a second signal interrupts it.

    A process that has joined Ray by halves ends with SIGABRT or SIGSEGV, whatever exit code it wants. Signals that are
    ignored, as SIGINT is in what a script starts with `&`, remain so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deferred: list[int] = []

    def defer(number: int, _frame: object) -> None:
        deferred.append(number)
        if len(deferred) > 1:
            raise KeyboardInterrupt

    before = {name: signal.getsignal(name) for name in (*NAMES, signal.SIGINT)}
    for name, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(name, defer)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        if deferred:
            signal.raise_signal(deferred[0])


@contextmanager
def ignoring_signals() -> Iterator[None]:
    """Ignore the signals, also if a library resets them to the default, which would end the process.

    Ray does so when it shuts down (seen: exit code 143 after everything was settled), in C++, where Python's handlers
    are not known. Only a thread that keeps ignoring them is quick enough, and only C's own call works in it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = threading.Event()
    before = {name: signal.signal(name, signal.SIG_IGN) for name in NAMES}
    ignore = threading.Thread(target=_keep_ignoring, args=(is_over,), name="signals", daemon=True)
    ignore.start()
    try:
        yield
    finally:
        is_over.set()
        ignore.join()
        for name, handler in before.items():
            signal.signal(name, handler)


def _keep_ignoring(is_over: threading.Event) -> None:
    libc = ctypes.CDLL(None)
    libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    while not is_over.wait(_IGNORE_AGAIN_S):
        for name in NAMES:
            libc.signal(int(name), ctypes.c_void_p(int(signal.SIG_IGN)))


#: Names of the signals that were raised: Ray's calls turn the exception of a handler into a plain `KeyboardInterrupt`.
_requests: list[str] = []


def _stop(number: int, _frame: object) -> None:
    _requests.append(signal.Signals(number).name)
    raise StopRequested(_requests[-1])


#: Interrupts that made a stage drain instead of being raised.
_interrupts: list[int] = []


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise `KeyboardInterrupt` after the block if an interrupt made it drain: the next cell must not go on."""
    seen = len(_interrupts)
    yield
    if len(_interrupts) > seen:
        raise KeyboardInterrupt("interrupted; the same call continues")


@contextmanager
def draining_on_signals(drain: Callable[[str], None]) -> Iterator[None]:
    """Call `drain` with the signal's name, instead of raising; entered after `ray.init`, which claims SIGTERM.

    Only the main thread receives signals; in other threads nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            _interrupts.append(number)
        drain(signal.Signals(number).name)

    before = {name: signal.signal(name, handle) for name in (*NAMES, signal.SIGINT)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
