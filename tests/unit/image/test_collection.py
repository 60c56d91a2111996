"""Every picture of a collection by others ends in one result or one named error, and looks as Pillow shows it."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ImageOptions, ProcessedImage, process
from ray_downloader.image.model import Pixels

pytestmark = [pytest.mark.stage, pytest.mark.thorough]

OPTIONS = ImageOptions(encode="raw", resize="none")
IMAGE_KINDS = {
    ErrorKind.NOT_IMAGE,
    ErrorKind.UNSUPPORTED_FORMAT,
    ErrorKind.TRUNCATED,
    ErrorKind.TOO_MANY_PIXELS,
    ErrorKind.DECODE_FAILED,
}
#: Pillow opens these, but floating-point science data have no 8-bit picture; SPIDER has no magic number either.
FLOATING_POINT = {"pillow/hopper.fits", "pillow/m13_gzip.fits", "pillow/hopper.pfm", "pillow/hopper.spider"}
#: Pillow shows these JPEGs with garbage or grey where their data are wrong.
DAMAGED = {
    "jpegturbo-bugs/mozilla_1050342_jpeg-image-000.jpg",
    "jpegturbo-bugs/mozilla_891693_CVE-2013-6629_CVE-2013-6630_turbo-dht.jpg",
}

#: Grey of 9 to 16 bits: Pillow shows it clipped at 255, we scale it.
DEEP_GREY = {
    "image-rs/images_png_16bpc_basi0g16.png",
    "pillow/12bit.cropped.tif",
    "pillow/16_bit_binary_pgm.tiff",
    "pillow/16bit.MM.cropped.tif",
    "pillow/16bit.cropped.jp2",
    "pillow/16bit.cropped.tif",
    "pillow/16bit.r.tif",
    "pillow/hopper_16bit_plain.pgm",
    "pillow/i_trns.png",
    "pillow/issue_6194.j2k",
    "pngsuite/g04n0g16.png",
    "pngsuite/g07n0g16.png",
    "pngsuite/g25n0g16.png",
    "pngsuite/tbwn0g16.png",
    "scikit-image/chessboard_GRAY_U16.tif",
}

Outcome = ProcessedImage | ImageError


@pytest.fixture(scope="module")
def rows(collection: Path) -> list[dict[str, str]]:
    with (collection / "INDEX.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def outcomes(collection: Path, rows: list[dict[str, str]]) -> dict[str, Outcome]:
    return {row["file"]: outcome_of((collection / row["file"]).read_bytes()) for row in rows}


def outcome_of(body: bytes) -> Outcome:
    try:
        return process(body, OPTIONS)
    except ImageError as error:
        return error


def test_every_file_ends_in_a_picture_or_a_named_error(outcomes: dict[str, Outcome]) -> None:
    kinds = {outcome.kind for outcome in outcomes.values() if isinstance(outcome, ImageError)}
    assert kinds <= IMAGE_KINDS


def test_what_pillow_reads_is_read(rows: list[dict[str, str]], outcomes: dict[str, Outcome]) -> None:
    readable = {row["file"] for row in rows if row["pillow13_status"] == "OK"}
    failed = {name for name in readable if isinstance(outcomes[name], ImageError)}
    assert failed == FLOATING_POINT | DAMAGED


def test_png_suite_is_told_apart(outcomes: dict[str, Outcome]) -> None:
    """By its specification every file whose name starts with x is damaged and every other is sound."""
    suite = {Path(name).name: outcome for name, outcome in outcomes.items() if name.startswith("pngsuite/")}
    refused = {name for name, outcome in suite.items() if isinstance(outcome, ImageError)}
    assert refused == {name for name in suite if name.startswith("x")}


def test_other_files_are_named_by_what_they_are(rows: list[dict[str, str]], outcomes: dict[str, Outcome]) -> None:
    for row in rows:
        outcome = outcomes[row["file"]]
        is_drawing = row["kind"] in ("EPS", "WMF") or row["file"].endswith((".svg", ".mng"))
        if is_drawing:
            assert isinstance(outcome, ImageError), row["file"]
            assert outcome.kind is ErrorKind.UNSUPPORTED_FORMAT, row["file"]
        elif "non_image" in row["tags"]:
            assert isinstance(outcome, ImageError), row["file"]
            assert outcome.kind is ErrorKind.NOT_IMAGE, row["file"]


def test_sizes_are_those_of_the_upright_picture(rows: list[dict[str, str]], outcomes: dict[str, Outcome]) -> None:
    for row in rows:
        outcome = outcomes[row["file"]]
        if row["pillow13_status"] == "OK" and isinstance(outcome, ProcessedImage) and row["kind"] != "ICO":
            size = (int(row["height"]), int(row["width"]))
            # Pillow announces a turned TIFF with its upright size, every other format with the stored one
            is_turned = row["exif_orientation"] in ("5", "6", "7", "8") and row["kind"] != "TIFF"
            assert outcome.original_size == (size[::-1] if is_turned else size), row["file"]


def test_pixels_are_those_that_pillow_shows(
    collection: Path, rows: list[dict[str, str]], outcomes: dict[str, Outcome]
) -> None:
    readable = [row["file"] for row in rows if row["pillow13_status"] == "OK"]
    differing = dict(different_from_pillow(collection, readable, outcomes))
    assert sorted(differing) == sorted(DEEP_GREY)


def different_from_pillow(
    collection: Path, names: list[str], outcomes: dict[str, Outcome]
) -> Iterator[tuple[str, str]]:
    """(file, Pillow's mode) where more than rounding sets us apart."""
    for name in names:
        outcome = outcomes[name]
        if isinstance(outcome, ImageError):
            continue
        mode, expected = shown_by_pillow(collection / name)
        pixels = np.frombuffer(outcome.image, np.uint8).reshape(*outcome.resized_size, 3)
        if expected is not None and np.abs(expected.astype(int) - pixels).mean() > 1:
            yield name, mode


def shown_by_pillow(path: Path) -> tuple[str, Pixels | None]:
    """Mode, and upright BGR over white; None for what Pillow reads on one machine and not on another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as opened:
                opened.load()
                image = ImageOps.exif_transpose(opened)
        except OSError:
            return "", None
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return opened.mode, np.asarray(image.convert("RGB"))[:, :, ::-1]


def test_heic_is_read_and_jpeg_xl_where_its_plugin_is(outcomes: dict[str, Outcome]) -> None:
    assert isinstance(outcomes["small/heif.heif"], ProcessedImage)
    has_plugin = find_spec("pillow_jxl") is not None
    for name in (name for name in outcomes if name.endswith(".jxl")):
        outcome = outcomes[name]
        if has_plugin:
            assert isinstance(outcome, ProcessedImage), name
        else:
            assert isinstance(outcome, ImageError), name
            assert outcome.kind is ErrorKind.UNSUPPORTED_FORMAT, name
