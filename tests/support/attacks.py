"""Bodies that attack memory or time, and a loopback server that streams them from a thread."""

from __future__ import annotations

import contextlib
import gzip
import io
import socketserver
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import cv2
import numpy as np
from PIL import Image

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


#: Begin, begin, step, step of each pass of an interlaced PNG: across, down.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@cache
def interlaced(side: int) -> bytes:
    """A black interlaced PNG with transparency."""
    packer = zlib.compressobj(1)
    packed = b""
    for left, top, across, down in _PASSES:
        row = bytes(1 + 4 * len(range(left, side, across)))
        packed += b"".join(packer.compress(row) for _ in range(top, side, down))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed + packer.flush()) + chunk(b"IEND", b"")


@cache
def frames(image_format: str, side: int, count: int) -> bytes:
    """A picture with many frames or pages."""
    first, *others = [Image.new("L", (side, side), number) for number in range(count)]
    body = io.BytesIO()
    first.save(body, image_format, save_all=True, append_images=others, method=0)  # WebP: the fastest
    return body.getvalue()


@cache
def texts(unpacked_mb: int) -> bytes:
    """A small PNG with texts and a profile that unfold."""
    body = io.BytesIO()
    Image.new("RGB", (40, 40)).save(body, "PNG")
    packed, begin = zlib.compress(bytes(unpacked_mb * MB), 1), len(b"\x89PNG\r\n\x1a\n") + 25
    bombs = chunk(b"zTXt", b"a\0\0" + packed) + chunk(b"iCCP", b"a\0\0" + packed)
    return body.getvalue()[:begin] + bombs + body.getvalue()[begin:]


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


def _raw(*parts: bytes) -> Iterator[bytes]:
    yield from parts


_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
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
    "interlaced-9000": lambda: _announced(interlaced(9000)),
    "webp-12-frames": lambda: _announced(frames("WEBP", 1500, 12)),
    "gif-12-frames": lambda: _announced(frames("GIF", 2000, 12)),
    "tiff-30-pages": lambda: _announced(frames("TIFF", 1500, 30)),
    "png-texts-500mb": lambda: _announced(texts(500)),
    "header-1mb": lambda: _raw(_OK + b"X: " + b"x" * MB + b"\r\nContent-Length: 1\r\n\r\nx"),
    "headers-100000": lambda: _raw(_OK, *[b"X-%d: y\r\n" % n for n in range(100_000)], b"Content-Length: 1\r\n\r\nx"),
    "interim-2000": lambda: _raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2000, *_announced(picture())),
    "nul-in-location": lambda: _raw(
        b"HTTP/1.1 302 Found\r\nLocation: http://b.example/\x00x\r\nContent-Length: 0\r\n\r\n"
    ),
    "long-host-in-location": lambda: _raw(
        b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 249 + b":65535/\r\nContent-Length: 0\r\n\r\n"
    ),
    "http-x-trailer": lambda: _raw(_CHUNKED + b"1\r\nx\r\n0\r\nHTTP/x: y\r\nHTTP/1.1 500 No\r\n\r\n"),
    "chunked-garbage": lambda: _raw(_CHUNKED + b"zz\r\nx\r\n" * 3),
    "chunk-of-2-to-the-64": lambda: _raw(_CHUNKED + b"fffffffffffffffff\r\nx"),
    "negative-length": lambda: _raw(_OK + b"Content-Length: -1\r\n\r\nx"),
    "two-lengths": lambda: _raw(_OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
    "status-of-letters": lambda: _raw(b"HTTP/1.1 abc OK\r\n\r\n"),
    "no-head": lambda: _raw(b"\x00" * 9000),
    "scans-400": lambda: _announced(scans(400, 1500)),
}


#: Answers that are odd in what comes before the body, or between its pieces; each ends its connection.
ODD_HEADS = (
    "header-1mb", "headers-100000", "interim-2000", "nul-in-location", "long-host-in-location", "http-x-trailer",
    "chunked-garbage", "chunk-of-2-to-the-64", "negative-length", "two-lengths", "status-of-letters", "no-head",
)  # fmt: skip


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client leaves when it has seen enough
            while line := self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                name = line.split()[1].decode().split("/")[1]
                for piece in ATTACKS[name]():
                    self.wfile.write(piece)
                if name in ODD_HEADS:
                    return


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
