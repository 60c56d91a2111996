"""No header takes long to parse, and no picture that takes long or much memory is decoded in the worker's process."""

from __future__ import annotations

import struct
import time
import zlib
from concurrent.futures import Future

import cv2
import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ImageOptions, ProcessedImage, start
from ray_downloader.image.decoder_memory import available_bytes, decoding_bytes
from ray_downloader.image.header import read_header
from ray_downloader.image.model import Header

#: CPU time, and generous: the quadratic copy took 43 s.
QUICK_S = 2.0
BOX = struct.pack(">I4s", 8, b"free")
MANY = 3_000_000


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


GARBAGE = {
    "jpeg of ff 01": b"\xff\xd8\xff" + b"\xff\x01" * (MANY // 2),
    "jpeg of restarts": b"\xff\xd8\xff" + b"\xff\xd0" * (MANY // 2),
    "jpeg of ff 00 and bytes": b"\xff\xd8\xff" + b"\xff\x00a" * (MANY // 3),
    "jpeg of fill bytes": b"\xff\xd8\xff" + b"\xff" * MANY,
    "jpeg of empty segments": b"\xff\xd8" + b"\xff\xe0\x00\x02" * (MANY // 4),
    "jpeg of frames": b"\xff\xd8" + (b"\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03" + b"\x01\x11\x00" * 3) * (MANY // 19),
    "png of empty chunks": png(9, 9)[:33] + chunk(b"IDAT", b"") * (MANY // 12),
    "webp of empty chunks": b"RIFF\xff\xff\xff\x7fWEBP" + b"ABCD\0\0\0\0" * (MANY // 8),
    "avif of empty boxes": struct.pack(">I4s4s4s", 16, b"ftyp", b"avif", bytes(4)) + BOX * (MANY // 8),
    "name and colons": b"Name" + b":" * MANY,
    "xbm": b"#define " + b"_width" * (MANY // 6),
    "spaces": b" " * MANY,
    "markup": b"<" + b"a" * MANY,
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_of_megabytes_is_refused_at_once(what: str) -> None:
    began_s = time.process_time()
    with pytest.raises(ImageError):
        header = read_header(GARBAGE[what])
        raise ImageError(ErrorKind.DECODE_FAILED, repr(header))  # it was read, which is quick as well
    assert time.process_time() - began_s < QUICK_S


def with_scans(scans: int) -> bytes:
    body = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    at = body.rfind(b"\xff\xda")
    return bytes(body[:at] + (body[at:-2]) * scans + body[-2:])


def test_a_jpeg_of_2000_scans_is_refused_and_one_of_100_is_decoded_elsewhere() -> None:
    with pytest.raises(ImageError, match="scans") as caught:
        start(with_scans(2000), ImageOptions())
    assert caught.value.kind is ErrorKind.DECODE_FAILED
    assert isinstance(start(with_scans(100), ImageOptions()), Future)
    assert isinstance(start(with_scans(1), ImageOptions()), ProcessedImage)


def with_more_than_its_pixels(unpacked_mb: int) -> bytes:
    """A PNG of 10 x 10 whose data do not end with its last pixel."""
    packer = zlib.compressobj(9)
    begin, piece = (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 10, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", begin + piece * (unpacked_mb - 1) + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def test_a_png_that_goes_on_for_long_after_its_last_pixel_is_decoded_elsewhere() -> None:
    assert isinstance(start(with_more_than_its_pixels(300), ImageOptions()), Future)
    assert isinstance(start(with_more_than_its_pixels(30), ImageOptions()), ProcessedImage)


def baseline_of_separate_scans() -> bytes:
    """Sequential, but with one scan for each component, so libjpeg keeps all coefficients."""
    body = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    at = body.rfind(b"\xff\xda")
    return bytes(body[:at] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + body[at + 14 :])


def test_a_sequential_jpeg_in_several_scans_needs_memory_for_all_its_coefficients() -> None:
    header = read_header(baseline_of_separate_scans())
    assert header.buffered
    assert decoding_bytes(header, 8) >= 16 * 16 * 6


@pytest.mark.parametrize(
    ("header", "most_mb"),
    [
        (Header("png", (13000, 13000), has_alpha=True, bits=16), 2704),
        (Header("png", (13000, 13000), bits=16), 2028),
        (Header("png", (13000, 13000)), 1014),
        (Header("jpeg", (13000, 13000), buffered=True), 1521),
        (Header("jpeg", (13000, 13000)), 507),
        (Header("webp", (13000, 13000)), 1183),
    ],
    ids=["rgba16", "rgb16", "rgb8", "progressive", "baseline", "webp"],
)
def test_the_estimate_counts_what_is_allocated(header: Header, most_mb: int) -> None:
    assert decoding_bytes(header, 1) // 1_000_000 == most_mb


def test_huge_pictures_are_decoded_elsewhere_or_refused_with_the_memory_they_need() -> None:
    assert isinstance(start(png(5000, 5000), ImageOptions()), Future)
    future = start(png(13000, 13000, 16, 6), ImageOptions())
    assert isinstance(future, Future)
    error = future.exception()
    assert isinstance(error, ImageError)
    assert error.kind is ErrorKind.TOO_MANY_PIXELS
    assert "cluster.decoder_memory_mb=768" in error.message
    assert available_bytes(ImageOptions()) < 768 * 2**20
