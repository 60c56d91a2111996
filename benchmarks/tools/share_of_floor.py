"""Time of `resize` an image beside the least that OpenCV needs for it: decode (scaled where allowed), shrink, encode.

python benchmarks/tools/share_of_floor.py [SIZE]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pyarrow.parquet as pq

from ray_downloader.image import ImageOptions
from ray_downloader.tools.base import Unit
from ray_downloader.tools.builtin.resize import resize_batch
from ray_downloader.tools.context import StoredBatch

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.stored import StoredRun, row

IMAGES = 400
ROUNDS = 11
STORED_SIDE = 512


def photo(rng: np.random.Generator) -> bytes:
    """640 x 480 pixels with the noise of a photograph; about 150 kB."""
    smooth = cv2.resize(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def floor(path: Path, side: int) -> None:
    """Nothing but OpenCV."""
    flag = cv2.IMREAD_REDUCED_COLOR_2 if 2 * side <= STORED_SIDE // 2 else cv2.IMREAD_COLOR
    for batch in pq.ParquetFile(path).iter_batches(256, columns=["image"]):
        for image in batch.column(0):
            pixels = cv2.imdecode(np.frombuffer(image.as_py(), np.uint8), flag)
            small = cv2.resize(pixels, (side, side * 3 // 4), interpolation=cv2.INTER_AREA)
            cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])


def main(side: int) -> None:
    """Turn by turn, CPU time; min / median / max of the rounds."""
    rng = np.random.default_rng(0)
    bodies = [photo(rng) for _ in range(40)]
    with tempfile.TemporaryDirectory() as folder:
        run = StoredRun(Path(folder))
        path = run.add([row(str(n), bodies[n % len(bodies)], image_size=STORED_SIDE) for n in range(IMAGES)])
        unit = Unit(Path(folder) / "resized", (StoredBatch("a", 0, path),), "")
        options = ImageOptions(image_size=side)
        rounds = [
            (cpu_ms(partial(floor, path, side)), cpu_ms(partial(resize_batch, options, True, unit)))
            for _ in range(ROUNDS)
        ]
    floors, resizes = zip(*rounds, strict=True)
    ratios = [resize_ms / floor_ms for floor_ms, resize_ms in rounds]
    for name, values in (("floor, ms an image", floors), ("resize, ms an image", resizes), ("ratio", ratios)):
        print(f"{side} px: {name}: {min(values):.2f} / {median(values):.2f} / {max(values):.2f}")


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU time of an image."""
    started_s = time.process_time()
    work()
    return (time.process_time() - started_s) * 1000 / IMAGES


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 128)
