"""What `process` costs beside the OpenCV calls and hashes alone, and how close fast decoding comes to exact.

Usage: python benchmarks/image/share_of_floor.py [folder of JPEGs]. Without a folder: a made picture in two sizes.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ray_downloader.image import ImageOptions, process
from ray_downloader.image.decode import reduction
from ray_downloader.image.header import read_header
from ray_downloader.image.model import Pixels
from ray_downloader.image.produce import decoded_scale
from ray_downloader.image.resize import shrink_fast

OPTIONS = ImageOptions(image_size=256)
FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def bodies() -> Iterator[tuple[str, bytes]]:
    """(name, JPEG) of what is measured."""
    if len(sys.argv) > 1:
        yield from ((path.name, path.read_bytes()) for path in sorted(Path(sys.argv[1]).glob("*.[jJ]*[gG]")))
        return
    noise = np.random.default_rng(0).normal(128, 40, (1200, 1600, 3))
    picture = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1, 4, 16)) / 12
    for height, width in ((480, 640), (1200, 1600)):
        small = cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
        yield f"made {height} x {width}", cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def floor(body: bytes, by: int, size: tuple[int, int]) -> None:
    """The work itself: decode, shrink, encode, two hashes."""
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), FLAGS[by])
    small = shrink_fast(pixels, size)
    stored = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    hashlib.md5(body).hexdigest(), hashlib.md5(stored).hexdigest()


def best_ms(work: Callable[[], object], rounds: int = 7, times: int = 15) -> float:
    """Fastest of several rounds, a call, in milliseconds."""
    spans = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            work()
        spans.append((time.perf_counter() - start) / times)
    return min(spans) * 1e3


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio in dB."""
    return float(cv2.PSNR(one, other))


def stored(body: bytes, options: ImageOptions) -> Pixels:
    """The pixels that would be stored, before they are encoded."""
    result = process(body, replace(options, encode="raw"))
    return np.frombuffer(result.image, np.uint8).reshape(*result.resized_size, 3)


def main() -> None:
    """Print one line a picture."""
    cv2.setNumThreads(1)
    print(
        f"{'picture':24} {'kB':>6} {'by':>3} {'process':>8} {'floor':>8} {'share':>6} "
        f"{'exact':>7} {'original':>9} {'dB':>6}"
    )
    for name, body in bodies():
        header = read_header(body)
        scaled = decoded_scale(header, OPTIONS)
        by = reduction(header, scaled, OPTIONS)
        ours = best_ms(lambda body=body: process(body, OPTIONS))
        least = best_ms(lambda body=body, by=by, scaled=scaled: floor(body, by, scaled))
        exact = best_ms(lambda body=body: process(body, replace(OPTIONS, decode="exact")))
        original = best_ms(lambda body=body: process(body, replace(OPTIONS, encode="original")))
        likeness = psnr(stored(body, OPTIONS), stored(body, replace(OPTIONS, decode="exact")))
        print(
            f"{name[:24]:24} {len(body) / 1e3:6.0f} {by:3} {ours:6.2f}ms {least:6.2f}ms {least / ours:6.2f} "
            f"{exact:5.2f}ms {original:7.3f}ms {likeness:6.1f}"
        )


if __name__ == "__main__":
    main()
