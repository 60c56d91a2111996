"""A helper process that decodes what might kill a decoder, or take long. It starts when it is first needed.

The helper limits its own address space, and a timer ends it if one picture takes too much CPU time. The worker only
sees the pipe close. A helper may also be killed or stopped by others, so its picture is given to further helpers before
it is blamed. If a helper ends before it is ready, this machine lacks something, and no picture is to blame. A thread
talks to the helper, so whoever submits a body need not wait.
"""

from __future__ import annotations

import atexit
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import send_handle
from typing import TypeAlias

import psutil

from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.image.model import ImageError, ImageOptions, ProcessedImage
from ray_downloader.spill import Body, BodyFile, read_descriptor

#: What the helper receives: the body (None: the descriptor of its file follows), how to store it, whether it is whole.
Question: TypeAlias = tuple["bytes | None", ImageOptions, bool]


@dataclass(frozen=True, slots=True)
class AsReceived:
    """A result whose picture is the body itself, which the worker has: it is not sent back."""

    result: ProcessedImage

    def with_image(self, body: bytes) -> ProcessedImage:
        """The whole result."""
        return replace(self.result, image=body)


#: What the helper returns: the result, or the kind and message of an `ImageError`.
Answer: TypeAlias = "ProcessedImage | AsReceived | tuple[ErrorKind, str]"

#: What a helper sends first, once it can decode.
READY = "ready"


class _Ending(Enum):
    """How a helper ended over a picture."""

    #: It was killed (out-of-memory killer, batch system), or stopped and therefore killed.
    FROM_OUTSIDE = "from outside"
    #: A crash may be the picture's doing, or an operator's `kill -SEGV`.
    CRASHED = "crashed"
    #: It used up its time, which no other process can do for it.
    TOO_SLOW = "too slow"


#: A picture that gets so many helpers killed is not tried any more.
_MOST = {_Ending.FROM_OUTSIDE: 6, _Ending.CRASHED: 3, _Ending.TOO_SLOW: 1}
_ENDINGS = {
    -signal.SIGKILL: _Ending.FROM_OUTSIDE,
    -signal.SIGTERM: _Ending.FROM_OUTSIDE,
    -signal.SIGPROF: _Ending.TOO_SLOW,
}
#: A helper with a picture that uses no CPU time for this long was stopped, or waits for what never comes.
_IDLE_S = 20.0
#: The same for one that starts: it may wait for a slow file system with its libraries.
_IDLE_START_S = 60.0
#: How often it is looked at in these times.
_LOOKS = 10
#: Signals to the whole process group reach a helper while it starts, so it may start again.
_STARTS = 5
#: Memory is accounted by what the helper is promised: one arena, and no threads that each reserve a stack.
_FRUGAL = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class _Helper:
    popen: subprocess.Popen[bytes]
    pipe: Connection

    @contextmanager
    def watched(self, idle_s: float) -> Iterator[None]:
        """Talk to the helper in the block; it is killed if it does nothing for this long.

        Raises:
            EOFError: The helper ended.
            OSError: Likewise.
        """
        is_over = threading.Event()
        threading.Thread(target=self._watch, args=(idle_s, is_over), name="decoder watch", daemon=True).start()
        try:
            yield
        finally:
            is_over.set()

    def _watch(self, idle_s: float, is_over: threading.Event) -> None:
        with suppress(psutil.Error):  # it has ended
            process = psutil.Process(self.popen.pid)
            used, since_s = process.cpu_times(), time.monotonic()
            while not is_over.wait(idle_s / _LOOKS):
                before, used = used, process.cpu_times()
                if used != before:
                    since_s = time.monotonic()
                elif time.monotonic() - since_s >= idle_s:
                    self.popen.kill()
                    return

    def end(self) -> int:
        """Close the pipe, which ends a helper that is alive, and return its exit code."""
        self.pipe.close()
        try:
            return self.popen.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


@dataclass(frozen=True, slots=True)
class _Job:
    future: Future[ProcessedImage]
    body: Body
    options: ImageOptions
    complete: bool


class DecoderProcess:
    """Sends bodies to a helper process, one at a time.

    Args:
        module: What the helper runs: `python -m <module> <descriptor of its end of the pipe>`.
        idle_s: How long it may do nothing while it has a picture.
    """

    def __init__(self, module: str = "ray_downloader.image.decoder_main", idle_s: float = _IDLE_S) -> None:
        self._module = module
        self._idle_s = idle_s
        self._helper: _Helper | None = None
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        atexit.register(self.close)

    def submit(self, body: Body, options: ImageOptions, *, complete: bool = True) -> Future[ProcessedImage]:
        """`process_carefully` in the helper, after what was submitted before.

        Returns:
            The picture, or `ImageError` as of `process`: `decode_failed` if this body crashed several helpers, or took
            too long; `internal` if too many were killed by others. `MachineError` if no helper can be started.
        """
        self._is_closed = False
        future: Future[ProcessedImage] = Future()
        self._jobs.put(_Job(future, body, options, complete))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="decoder", daemon=True)
            self._thread.start()
        return future

    def process(self, body: Body, options: ImageOptions, *, complete: bool = True) -> ProcessedImage:
        """`submit`, and wait.

        Raises:
            ImageError: As `submit`.
        """
        return self.submit(body, options, complete=complete).result()

    def close(self) -> None:
        """Stop the helper, whatever it does; the next body starts another one."""
        self._is_closed = True
        helper = self._helper
        if helper is not None:
            helper.popen.kill()
            helper.popen.wait()

    def _serve(self) -> None:
        while True:
            self._finish(self._jobs.get())

    def _finish(self, job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            answer = self._ask(job)
        except Exception as error:
            job.future.set_exception(error)
            return
        if isinstance(answer, ProcessedImage):
            job.future.set_result(answer)
        else:
            job.future.set_exception(ImageError(*answer))

    def _ask(self, job: _Job) -> ProcessedImage | tuple[ErrorKind, str]:
        endings: Counter[_Ending] = Counter()
        while True:
            helper = self._living_helper()
            try:
                with helper.watched(self._idle_s):
                    _send(helper, job)
                    answer: Answer = helper.pipe.recv()
                return answer.with_image(_bytes_of(job.body)) if isinstance(answer, AsReceived) else answer
            except (EOFError, OSError):
                self._helper = None
                code = helper.end()
            ending = _ENDINGS.get(code, _Ending.CRASHED)
            endings[ending] += 1
            if self._is_closed or endings[ending] == _MOST[ending]:
                kind = ErrorKind.INTERNAL if ending is _Ending.FROM_OUTSIDE else ErrorKind.DECODE_FAILED
                return kind, f"the decoder {_manner(code)}"

    def _living_helper(self) -> _Helper:
        """The helper, or another one if it was killed while it had nothing to do."""
        helper = self._helper
        if helper is None:
            return self._start()
        if helper.popen.poll() is None:
            return helper
        helper.end()
        return self._start()

    def _start(self) -> _Helper:
        """A helper that is ready.

        Raises:
            MachineError: None can be started.
        """
        why = ""
        for _ in range(_STARTS):
            try:
                helper = self._helper = self._spawn()
            except OSError as error:
                why = error.strerror or str(error)
                break
            try:
                with helper.watched(_IDLE_START_S):
                    helper.pipe.recv()
                return helper
            except (EOFError, OSError):
                self._helper = None
                why = f"it {_manner(helper.end())}"
                if self._is_closed:
                    break
        raise MachineError(
            f"no decoder process can be started on this machine: {why}; what was settled is safe: free memory, or "
            "allow more (ulimit -a), and the same command continues"
        )

    def _spawn(self) -> _Helper:
        ours, theirs = Pipe()
        environment = os.environ | _FRUGAL | {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)}
        command = [sys.executable, "-W", "ignore", "-m", self._module, str(theirs.fileno())]
        try:
            popen = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            theirs.close()
        return _Helper(popen, ours)


def _bytes_of(body: Body) -> bytes:
    return read_descriptor(body.descriptor) if isinstance(body, BodyFile) else body


def _send(helper: _Helper, job: _Job) -> None:
    if isinstance(job.body, BodyFile):
        helper.pipe.send((None, job.options, job.complete))
        send_handle(helper.pipe, job.body.descriptor, helper.popen.pid)
    else:
        helper.pipe.send((job.body, job.options, job.complete))


def _manner(ending: int) -> str:
    if ending == -signal.SIGPROF:
        return "took too long and was stopped"
    if ending < 0:
        return f"crashed ({signal.Signals(-ending).name})"
    return f"ended (exit code {ending})"
