"""Bodies that attack memory or time, and a loopback server that streams them from a thread."""

from __future__ import annotations

import contextlib
import gzip
import socketserver
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import cv2
import numpy as np

MB = 2**20
_PIECE = bytes(MB)


@cache
def picture() -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((48, 64, 3), 99, np.uint8))[1].tobytes())


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@cache
def png(width: int, height: int, bits: int, colour: int, *, has_pixels: bool) -> bytes:
    """A black picture; without pixels it is only announced, and a decoder allocates it all the same."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    packer = zlib.compressobj(1)
    row = bytes(1 + width * channels * bits // 8)
    packed = b"".join(packer.compress(row) for _ in range(height if has_pixels else 1)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@cache
def scans(count: int, side: int) -> bytes:
    body = cv2.imencode(".jpg", np.zeros((side, side, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    at = body.rfind(b"\xff\xda")
    return bytes(body[:at] + body[at:-2] * count + body[-2:])


@cache
def bomb(unpacked_mb: int, random_share: int) -> bytes:
    """A gzip that unfolds to so many MB; one byte in `random_share` cannot be compressed."""
    rng = np.random.default_rng(0)
    piece = rng.bytes(MB // random_share) + bytes(MB - MB // random_share)
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    body = [packer.compress(b"BM" + bytes(52))]
    body += [packer.compress(piece) for _ in range(unpacked_mb)]
    return b"".join(body) + packer.flush()


def _announced(body: bytes, padding_mb: int = 0, *lines: str) -> Iterator[bytes]:
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) + padding_mb * MB}", *lines]
    yield ("\r\n".join(head) + "\r\n\r\n").encode() + body
    yield from [_PIECE] * padding_mb


def _chunked(body: bytes, padding_mb: int) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + f"{len(body):x}\r\n".encode() + body + b"\r\n"
    for _ in range(padding_mb):
        yield f"{MB:x}\r\n".encode() + _PIECE + b"\r\n"
    yield b"0\r\n\r\n"


_GZIP = "Content-Encoding: gzip"
ATTACKS: dict[str, Callable[[], Iterator[bytes]]] = {
    "good": lambda: _announced(picture()),
    "announced-150mb": lambda: _announced(picture(), 150),
    "chunked-150mb": lambda: _chunked(picture(), 150),
    "gzip-200mb": lambda: _announced(gzip.compress(bytes(200 * MB), 1), 0, _GZIP),
    "gzip-200mb-within-the-ratio": lambda: _announced(bomb(200, 60), 0, _GZIP),
    "rgba16-13000": lambda: _announced(png(13000, 13000, 16, 6, has_pixels=False)),
    "rgb8-10000": lambda: _announced(png(10000, 10000, 8, 2, has_pixels=True)),
    "rgba8-8500": lambda: _announced(png(8500, 8500, 8, 6, has_pixels=True)),
    "rgb8-13000": lambda: _announced(png(13000, 13000, 8, 2, has_pixels=False)),
    "ff01-3mb": lambda: _announced(b"\xff\xd8\xff" + b"\xff\x01" * (3 * MB // 2)),
    "scans-2000": lambda: _announced(scans(2000, 500)),
    "scans-400": lambda: _announced(scans(400, 1500)),
}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client leaves when it has seen enough
            while line := self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                for piece in ATTACKS[line.split()[1].decode().split("/")[1]]():
                    self.wfile.write(piece)


@contextmanager
def attacking_server() -> Iterator[str]:
    """Its address; `/<name of the attack>/<anything>` is one."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
