"""A helper process that decodes what might kill a decoder, or take long. It starts when it is first needed.

The helper limits its own address space, and an alarm ends it if one picture takes too long. The worker only sees the
pipe close. It reports that row as `decode_failed` and starts another helper when it needs one. If a helper ends before
it is ready, this machine lacks something, and no picture is to blame. A thread talks to the helper, so whoever submits
a body need not wait.
"""

from __future__ import annotations

import atexit
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import send_handle
from typing import TypeAlias

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

#: Signals from outside (out-of-memory killer, batch system). The picture may be innocent, so it is tried once more.
_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM})
_ATTEMPTS = 2
#: Signals to the whole process group reach a helper while it starts, so it may start again.
_STARTS = 3
#: Memory is accounted by what the helper is promised: one arena, and no threads that each reserve a stack.
_FRUGAL = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class _Helper:
    popen: subprocess.Popen[bytes]
    pipe: Connection

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
    """

    def __init__(self, module: str = "ray_downloader.image.decoder_main") -> None:
        self._module = module
        self._helper: _Helper | None = None
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        atexit.register(self.close)

    def submit(self, body: Body, options: ImageOptions, *, complete: bool = True) -> Future[ProcessedImage]:
        """`process_carefully` in the helper, after what was submitted before.

        Returns:
            The picture, or `ImageError` as of `process`: `decode_failed` if this body killed the helper. `MachineError`
            if no helper can be started.
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
        ending = 0
        for _ in range(_ATTEMPTS):
            helper = self._helper
            if helper is None or helper.popen.poll() is not None:
                if helper is not None:
                    helper.end()
                helper = self._start()
            try:
                _send(helper, job)
                answer: Answer = helper.pipe.recv()
                return answer.with_image(_bytes_of(job.body)) if isinstance(answer, AsReceived) else answer
            except (EOFError, OSError):
                self._helper = None
                ending = helper.end()
                if ending not in _FROM_OUTSIDE or self._is_closed:
                    break
        kind = ErrorKind.INTERNAL if ending in _FROM_OUTSIDE else ErrorKind.DECODE_FAILED
        return kind, f"the decoder {_manner(ending)}"

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
    if ending == -signal.SIGALRM:
        return "took too long and was stopped"
    if ending < 0:
        return f"crashed ({signal.Signals(-ending).name})"
    return f"ended (exit code {ending})"
