"""The floor: the OpenCV calls and hashes alone, on bytes in memory, one process a core. No network, no file, no table.

The allocator is set as in a worker (`ray_downloader/image/opencv.py`): with glibc's own settings small pictures take
twice as long, which would be no floor.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import cv2
import numpy as np

from ray_downloader.image import ImageOptions
from ray_downloader.image.decode import reduction
from ray_downloader.image.geometry import plan_geometry
from ray_downloader.image.header import read_header
from ray_downloader.image.resize import shrink, shrink_fast

CORES = 2
FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def work_s(bodies: list[bytes], images: int, options: ImageOptions, start: Barrier) -> float:
    """Seconds for so many images in this process."""
    cv2.setNumThreads(1)
    header = read_header(bodies[0])
    assert header.size is not None
    height, width = plan_geometry(header.size, options).scaled
    flag, is_fast = FLAGS[reduction(header, (height, width), options)], options.decode == "fast"
    start.wait()
    started_s = time.perf_counter()
    for number in range(images):
        body = bodies[number % len(bodies)]
        pixels = cv2.imdecode(np.frombuffer(body, np.uint8), flag)
        small = shrink_fast(pixels, (height, width)) if is_fast else shrink(pixels, (height, width))
        stored = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        hashlib.md5(body).hexdigest(), hashlib.md5(stored).hexdigest()
    return time.perf_counter() - started_s


def _task(queue: multiprocessing.Queue[float], *work: object) -> None:
    queue.put(work_s(*work))  # type: ignore[arg-type]


def floor_images_per_s(files: list[Path], images: int, options: ImageOptions) -> float:
    """Images/s of the bare calls on both cores, for the decoding that `options` request."""
    bodies = [path.read_bytes() for path in files]
    context = multiprocessing.get_context("spawn")
    start, queue = context.Barrier(CORES), context.Queue()
    processes = [
        context.Process(target=_task, args=(queue, bodies, images // CORES, options, start)) for _ in range(CORES)
    ]
    for process in processes:
        process.start()
    spans_s = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return sum(images // CORES / span_s for span_s in spans_s)
