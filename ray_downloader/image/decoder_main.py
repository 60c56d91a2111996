"""The decoder process: receives a body, processes it and sends the result, until its pipe closes."""

from __future__ import annotations

import resource
import signal
import sys
from multiprocessing.connection import Connection

from ray_downloader.errors import ErrorKind
from ray_downloader.image.isolation import Answer
from ray_downloader.image.model import ImageError, ImageOptions
from ray_downloader.image.process import process_carefully

#: A picture that takes longer ends the process. The biggest allowed PNG (179 million pixels) takes 5 s on one core.
_TIME_LIMIT_S = 30
#: Address space for libraries and threads, and for each allowed pixel: BGRA twice, and temporaries.
_BASE_BYTES = 2 * 2**30
_BYTES_PER_PIXEL = 16


def serve(pipe: Connection) -> None:
    """Serve until the other end closes."""
    while True:
        try:
            body, options = pipe.recv()
        except EOFError:
            return
        _limit_memory(options)
        signal.alarm(_TIME_LIMIT_S)  # its default action ends the process, even inside a decoder
        answer = _answer(body, options)
        signal.alarm(0)
        pipe.send(answer)


def _answer(body: bytes, options: ImageOptions) -> Answer:
    try:
        return process_carefully(body, options)
    except ImageError as error:
        return error.kind, error.message
    except MemoryError:
        return ErrorKind.DECODE_FAILED, "the decoder needs more memory than image.max_pixels allows for"


def _limit_memory(options: ImageOptions) -> None:
    limit = _BASE_BYTES + _BYTES_PER_PIXEL * options.max_pixels
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def main() -> None:
    """The entry point; its only argument is the file descriptor of the pipe."""
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(stop, signal.SIG_IGN)  # sent to the whole process group; the worker reacts by closing the pipe
    serve(Connection(int(sys.argv[1])))


if __name__ == "__main__":
    main()
