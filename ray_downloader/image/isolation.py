"""A helper process that decodes what might kill a decoder. It starts when it is first needed and runs until it dies.

The helper limits its own address space, and an alarm ends it if one picture takes too long. The worker only sees the
pipe close. It reports that row as `decode_failed` and starts another helper when it needs one.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import TypeAlias

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import ImageError, ImageOptions, ProcessedImage

#: What the helper returns: the result, or the kind and message of an `ImageError`.
Answer: TypeAlias = ProcessedImage | tuple[ErrorKind, str]

#: Signals from outside (out-of-memory killer, batch system). The picture may be innocent, so it is tried once more.
_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM})
_ATTEMPTS = 2


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


class DecoderProcess:
    """Sends bodies to a helper process, one at a time.

    Args:
        module: What the helper runs: `python -m <module> <descriptor of its end of the pipe>`.
    """

    def __init__(self, module: str = "ray_downloader.image.decoder_main") -> None:
        self._module = module
        self._helper: _Helper | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def process(self, body: bytes, options: ImageOptions) -> ProcessedImage:
        """`process_carefully` in the helper.

        Raises:
            ImageError: As `process`, and `decode_failed` if this body killed the helper.
        """
        with self._lock:
            answer = self._ask(body, options)
        if isinstance(answer, ProcessedImage):
            return answer
        raise ImageError(*answer)

    def close(self) -> None:
        """Stop the helper; the next body starts another one."""
        with self._lock:
            if self._helper is not None:
                self._helper.end()
                self._helper = None

    def _ask(self, body: bytes, options: ImageOptions) -> Answer:
        ending = 0
        for _ in range(_ATTEMPTS):
            helper = self._helper = self._helper or self._start()
            try:
                helper.pipe.send((body, options))
                answer: Answer = helper.pipe.recv()
                return answer
            except (EOFError, OSError):
                self._helper = None
                ending = helper.end()
                if ending not in _FROM_OUTSIDE:
                    break
        return ErrorKind.DECODE_FAILED, f"the decoder {_manner(ending)}"

    def _start(self) -> _Helper:
        ours, theirs = Pipe()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)}
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


def _manner(ending: int) -> str:
    if ending == -signal.SIGALRM:
        return "took too long and was stopped"
    if ending < 0:
        return f"crashed ({signal.Signals(-ending).name})"
    return f"ended (exit code {ending})"
