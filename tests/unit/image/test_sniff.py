from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image.model import ImageError
from ray_downloader.image.sniff import sniff

NAMED = {
    b"\xff\xd8\xff\xe0": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF89a": "gif",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ": "webp",
    b"\x00\x00\x00\x20ftypavif": "avif",
    b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif": "avif",
    b"\x00\x00\x00\x18ftypheic": "heif",
    b"\x00\x00\x00\x0cJXL \r\n\x87\n": "jxl",
    b"II*\x00\x08\x00\x00\x00": "tiff",
    b"P6\n1 1\n255\n...": "ppm",
    b"\x00\x00\x02\x00\x01\x00\x20\x20": "cur",
    b"\x00\x00\x02" + bytes(9) + b"\x01\x00\x01\x00\x18\x00": "tga",
}


@pytest.mark.parametrize(("body", "name"), NAMED.items(), ids=NAMED.values())
def test_the_format_is_told_by_the_first_bytes(body: bytes, name: str) -> None:
    assert sniff(body) == name


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html><svg></svg></html>",
        b"  \n<html>429</html>",
        b"%PDF-1.7",
        b'{"error": 404}',
        b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isomiso2",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"\x89PNG\n\x1a\n",
        b"\x00" * 64,
        b"x",
    ],
)
def test_what_is_no_picture_is_named_so(body: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        sniff(body)
    assert caught.value.kind is ErrorKind.NOT_IMAGE


def test_an_empty_body_is_empty() -> None:
    with pytest.raises(ImageError) as caught:
        sniff(b"")
    assert caught.value.kind is ErrorKind.EMPTY


@pytest.mark.parametrize(
    "body", [b"\xef\xbb\xbf<?xml version='1.0'?><svg xmlns='x'>", b"%!PS-Adobe-3.0", b"#?RADIANCE\n", b"Pf\n"]
)
def test_pictures_that_nobody_here_reads_are_unsupported(body: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        sniff(body)
    assert caught.value.kind is ErrorKind.UNSUPPORTED_FORMAT
