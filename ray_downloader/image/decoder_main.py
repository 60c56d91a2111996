"""The decoder process: receives a body, processes it and sends the result, until its pipe closes."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path

from ray_downloader.errors import ErrorKind
from ray_downloader.image.decoder_memory import available_bytes
from ray_downloader.image.isolation import READY, Answer, AsReceived, Question
from ray_downloader.image.model import ImageError, ImageOptions
from ray_downloader.image.process import process_carefully
from ray_downloader.spill import read_descriptor

#: A picture that takes more CPU time ends the process. The biggest PNG that fits into its memory takes 5 s. A machine
#: that is busy, or on which the process is stopped for a while, says nothing about the picture.
_TIME_LIMIT_S = 30


def serve(pipe: Connection) -> None:
    """Serve until the other end closes."""
    own_bytes = _address_space_bytes()
    pipe.send(READY)
    while True:
        try:
            question: Question = pipe.recv()
            body = question[0] if question[0] is not None else _received_file(pipe)
        except EOFError:
            return
        _, options, complete = question
        del question
        _limit_memory(own_bytes, options)
        signal.setitimer(signal.ITIMER_PROF, _TIME_LIMIT_S)  # SIGPROF ends the process, even inside a decoder
        answer = _answer(body, options, complete)
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send(answer)
        del body, answer
        gc.collect()


def _received_file(pipe: Connection) -> bytes:
    descriptor = recv_handle(pipe)
    try:
        return read_descriptor(descriptor)
    finally:
        os.close(descriptor)


def _answer(body: bytes, options: ImageOptions, complete: bool) -> Answer:
    try:
        picture = process_carefully(body, options, complete=complete)
    except ImageError as error:
        return error.kind, error.message
    except MemoryError:
        limit = f"cluster.decoder_memory_mb={options.decoder_memory_mb}"
        return ErrorKind.DECODE_FAILED, f"the decoder needs more memory than {limit} allows"
    return AsReceived(replace(picture, image=b"")) if picture.image is body else picture


def _address_space_bytes() -> int | None:
    """The address space of this process with its libraries, most of which never becomes memory; None if unknown."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()


def _limit_memory(own_bytes: int | None, options: ImageOptions) -> None:
    if own_bytes is None:
        return
    limit = own_bytes + available_bytes(options)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def main() -> None:
    """The entry point; its only argument is the file descriptor of the pipe."""
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(stop, signal.SIG_IGN)  # sent to the whole process group; the worker reacts by closing the pipe
    with contextlib.suppress(BrokenPipeError):  # the worker is gone
        serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
