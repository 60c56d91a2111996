"""Odd and damaged pictures: what is salvaged, what has a second opinion, and what each failure is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.image import careful
from ray_downloader.image.careful import read_carefully
from ray_downloader.image.header import read_header
from ray_downloader.image.model import Header, ImageError, ImageOptions, Picture, Pixels
from ray_downloader.image.pillow_reader import NoReaderError
from tests.unit.image.conftest import Saver

OPTIONS = ImageOptions()
PICTURE = Picture(np.zeros((2, 2, 3), np.uint8), (2, 2), 1, False, b"")


def kind_of(body: bytes, header: Header | None = None) -> ErrorKind | None:
    try:
        read_carefully(body, header or read_header(body), OPTIONS)
    except ImageError as error:
        return error.kind
    return None


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
def test_a_sound_picture_is_what_it_was(photo: Pixels, save: Saver, image_format: str) -> None:
    body = save(photo, image_format, **({"lossless": True} if image_format == "WEBP" else {}))
    picture = read_carefully(body, read_header(body), OPTIONS)
    assert picture.size == (300, 400)
    if image_format not in {"JPEG", "GIF"}:
        assert np.array_equal(picture.pixels, photo)


def test_a_png_without_its_end_chunk_has_every_pixel(photo: Pixels, save: Saver) -> None:
    body = save(photo, "PNG")
    for missing in (12, 5, 1):
        cut = body[:-missing]
        assert np.array_equal(read_carefully(cut, read_header(cut), OPTIONS).pixels, photo)
    assert kind_of(body[: len(body) // 2]) is ErrorKind.TRUNCATED


def test_a_jpeg_without_its_end_marker_is_kept_if_nothing_else_is_missing(photo: Pixels, save: Saver) -> None:
    body = save(photo, "JPEG")
    whole = read_carefully(body, read_header(body), OPTIONS).pixels
    for cut in (body[:-2], body[:-1], body[:-2] + b"\xff\xff"):
        header = replace(read_header(body), cut=True)
        assert np.array_equal(read_carefully(cut, header, OPTIONS).pixels, whole)


def test_a_jpeg_may_lack_bytes_of_its_last_row_of_blocks_and_no_more(photo: Pixels, save: Saver) -> None:
    body = save(photo, "JPEG", quality=95)
    header = replace(read_header(body), cut=True)
    assert kind_of(body[:-12], header) is None
    with pytest.raises(ImageError, match=r"bytes end at pixel row \d+ of 300 at the latest") as error:
        read_carefully(body[: int(len(body) * 0.8)], header, OPTIONS)
    assert error.value.kind is ErrorKind.TRUNCATED


def test_a_hole_in_a_jpeg_that_is_whole_otherwise_is_damage(photo: Pixels, save: Saver) -> None:
    body = save(photo, "JPEG", quality=95)
    middle = len(body) // 2
    for filled in (bytes(2000), b""):
        holed = body[:middle] + filled + body[middle + 2000 :]
        assert kind_of(holed) in {ErrorKind.TRUNCATED, ErrorKind.DECODE_FAILED}


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF", "BMP"])
def test_other_formats_are_not_salvaged(photo: Pixels, save: Saver, image_format: str) -> None:
    body = save(photo, image_format)[:-60]
    header = replace(read_header(save(photo, image_format)), cut=True)
    assert kind_of(body, header) is ErrorKind.TRUNCATED


Refuse = Callable[..., None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Lets Pillow refuse every picture."""

    def refuse(*, is_known: bool) -> None:
        def no_reader(*_: object) -> Picture:
            raise NoReaderError("Pillow does not read it", is_known=is_known)

        monkeypatch.setattr(careful, "read_with_pillow", no_reader)

    return refuse


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF"])
def test_opencv_is_asked_where_pillow_has_no_reader(
    photo: Pixels, save: Saver, refuse: Refuse, image_format: str
) -> None:
    refuse(is_known=False)
    body = save(photo, image_format)
    header = replace(read_header(body), cut=False)
    assert np.array_equal(read_carefully(body, header, OPTIONS).pixels, photo)


def test_fewer_than_eight_bits_are_scaled_up(monkeypatch: pytest.MonkeyPatch, refuse: Refuse) -> None:
    refuse(is_known=False)
    monkeypatch.setattr(careful, "decode", lambda *_: replace(PICTURE, pixels=np.full((2, 2, 3), 15, np.uint8)))
    picture = read_carefully(b"", Header("png", (2, 2), bits=4), OPTIONS)
    assert (picture.pixels == 255).all()
    assert (read_carefully(b"", Header("png", (2, 2), bits=8), OPTIONS).pixels == 15).all()


@pytest.mark.parametrize(
    ("header", "is_known", "kind", "words"),
    [
        (Header("gif"), False, ErrorKind.DECODE_FAILED, "Pillow does not read it"),
        (Header("gif"), True, ErrorKind.UNSUPPORTED_FORMAT, "Pillow does not read it"),
        (Header("jpeg2000", bits=12), False, ErrorKind.UNSUPPORTED_FORMAT, "12-bit jpeg2000: Pillow does not read it"),
        (Header("gif", cut=True), False, ErrorKind.TRUNCATED, "gif: 3 bytes end before the picture does"),
        (Header("png"), False, ErrorKind.DECODE_FAILED, "Pillow does not read it"),
    ],
    ids=["damaged", "not supported", "deep", "cut", "refused by both"],
)
def test_a_picture_that_nobody_reads_is_named(
    refuse: Refuse, header: Header, is_known: bool, kind: ErrorKind, words: str
) -> None:
    refuse(is_known=is_known)
    with pytest.raises(ImageError) as error:
        read_carefully(b"xyz", header, OPTIONS)
    assert (error.value.kind, error.value.message) == (kind, words)


def test_what_opencv_knows_to_be_unsupported_is_not_damaged(monkeypatch: pytest.MonkeyPatch, refuse: Refuse) -> None:
    refuse(is_known=False)

    def unsupported(*_: object) -> Picture:
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, "floating-point")

    monkeypatch.setattr(careful, "decode", unsupported)
    with pytest.raises(ImageError, match="floating-point"):
        read_carefully(b"", Header("tiff", (2, 2)), OPTIONS)


def test_an_unsupported_variant_is_not_salvaged(monkeypatch: pytest.MonkeyPatch, refuse: Refuse) -> None:
    refuse(is_known=True)
    monkeypatch.setattr(careful, "_salvage_jpeg", lambda *_: pytest.fail("the complete file could not be read either"))

    def unsupported(*_: object) -> Picture:
        raise ImageError(ErrorKind.UNSUPPORTED_FORMAT, "12-bit jpeg")

    monkeypatch.setattr(careful, "decode", unsupported)
    assert kind_of(b"xyz", Header("jpeg", (2, 2), cut=True, bits=12)) is ErrorKind.UNSUPPORTED_FORMAT
