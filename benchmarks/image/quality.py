"""How near the stored pictures come to exact averages: real JPEGs as PSNR, a zone plate and a label to look at.

Usage: python benchmarks/image/quality.py FOLDER [--side 256] [--picture docs/images/shrinking.jpg]

Each JPEG below the folder that is larger than the target is stored in three ways, read back from its stored bytes, and
compared with the exact averages of its pixels. The line `exact` is what encoding alone costs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ray_downloader.image import ImageError, ImageOptions, process
from ray_downloader.image.geometry import plan_geometry
from ray_downloader.image.model import Pixels

#: What is compared with exact averages.
WAYS = {
    "fast (default)": {"decode": "fast"},
    "fast, fast_gap=1": {"decode": "fast", "fast_gap": 1},
    "exact": {"decode": "exact"},
}
MOST_PX = 8_000


def read(jpeg: bytes) -> Pixels:
    """Decoded pixels."""
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def averaged(pixels: Pixels, options: ImageOptions) -> Pixels:
    """The exact average over the area of each stored pixel, rounded once."""
    height, width = plan_geometry((pixels.shape[0], pixels.shape[1]), options).scaled
    exact = cv2.resize(pixels.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(exact), 0, 255).astype(np.uint8)


def jpegs(folder: Path, side: int) -> Iterator[tuple[bytes, Pixels]]:
    """JPEGs that have to be shrunk and that a plain reader shows as they are stored."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in {".jpg", ".jpeg"}:
            continue
        body = path.read_bytes()
        pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is not None and side < max(pixels.shape[:2]) < MOST_PX:
            yield body, np.asarray(pixels, np.uint8)


def likeness_db(folder: Path, options: ImageOptions) -> dict[str, list[float]]:
    """PSNR of each picture for each way."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for body, pixels in jpegs(folder, options.image_size):
        reference = averaged(pixels, options)
        try:
            results = {way: process(body, replace(options, **keys)) for way, keys in WAYS.items()}  # type: ignore[arg-type]
        except ImageError:
            continue  # damaged on purpose
        for way, result in results.items():
            shown = read(result.image)
            if shown.shape == reference.shape:  # others are turned by EXIF
                found[way].append(float(cv2.PSNR(reference, shown)))
    return found


def zone_plate(side: int) -> Pixels:
    """Rings that become finer outwards, up to the finest that pixels can hold."""
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2
    rings = 127.5 * (1 + np.cos(np.pi * (x * x + y * y) / side))
    return np.repeat(np.rint(rings).astype(np.uint8)[..., None], 3, axis=2)


def label(side: int) -> Pixels:
    """A herbarium label: small print and fine lines on paper."""
    page = np.full((side, side, 3), (214, 232, 240), np.uint8)
    step = side // 24
    for line in range(1, 23):
        at = (step, step * (line + 1))
        text = f"{line}. Flora of the Upper Valley, leg. A. Sample, det. 18{line + 40}, N 46.{line}"
        cv2.putText(page, text, at, cv2.FONT_HERSHEY_COMPLEX, side / 1400, (40, 30, 30), 1, cv2.LINE_AA)
        cv2.line(page, (step, at[1] + step // 3), (side - step, at[1] + step // 3), (120, 120, 150), 1)
    return page


def side_by_side(path: Path, options: ImageOptions) -> None:
    """Exact averages at the left, the default in the middle, bilinear interpolation alone at the right."""
    rows = []
    for gap in (1.7, 2.8, 3.9):
        for make in (zone_plate, label):
            pixels = make(round(options.image_size * gap))
            body = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
            fast = read(process(body, options).image)
            side = (options.image_size, options.image_size)
            bilinear = np.asarray(cv2.resize(pixels, side, interpolation=cv2.INTER_LINEAR), np.uint8)
            rows.append(np.hstack([averaged(pixels, options), fast, bilinear]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows))


def main() -> int:
    """Print one line a way, and draw the test pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    options = ImageOptions(image_size=given.side)
    for way, found_db in likeness_db(given.folder, options).items():
        tenth, half = np.percentile(found_db, [10, 50])
        print(f"{way:18} {len(found_db)} JPEGs: median {half:.1f} dB, p10 {tenth:.1f} dB")
    if given.picture:
        side_by_side(given.picture, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
