"""Bytes that a run at 224 px receives with `image.renditions=auto`, and with the pictures as they are listed.

python -m benchmarks.renditions.run [--images N]: a server on loopback has the pictures of four hosts in all the sizes
that these serve. Each run is a whole job with its
profile, from whose samples the run estimates what it saved; the truth is the difference between the two runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.speed.pictures import QUALITY, Kind, make_jpeg

ORIGINAL = Kind(2048, 1536, 0.092, 1)
#: Cameras and scanners store with little loss, servers make smaller versions with more.
ORIGINAL_QUALITY = 95
SCHEMES = {
    "inaturalist": "http://inaturalist-open-data.s3.amazonaws.com/photos/{n}/original.jpg",
    "iiif": "http://iiif.example/iiif/3/{n}/full/max/0/default.jpg",
    "wikimedia": "http://upload.wikimedia.org/wikipedia/commons/a/ab/Picture_{n}.jpg",
    "flickr": "http://live.staticflickr.com/1/{n}_ab_b.jpg",
}
_INATURALIST = {"original": 2048, "large": 1024, "medium": 500, "small": 240, "thumb": 100}
_FLICKR = {"_b": 1024, "_c": 800, "_z": 640, "": 500, "_w": 400, "_n": 320, "_m": 240, "_t": 100}


def side_px(path: str) -> int:
    """The longer side of the picture at a path."""
    if found := re.fullmatch(r"/photos/\d+/(\w+)\.jpg", path):
        return _INATURALIST[found[1]]
    if found := re.fullmatch(r"/iiif/3/\d+/full/(?:max|!(\d+),\d+)/0/default\.jpg", path):
        return int(found[1] or ORIGINAL.width)
    if found := re.fullmatch(r"/1/\d+_ab(_\w)?\.jpg", path):
        return _FLICKR[found[1] or ""]
    found = re.search(r"/(\d+)px-[^/]+$", path)
    return int(found[1]) if found else ORIGINAL.width


@lru_cache
def _pixels() -> Any:
    return cv2.imdecode(np.frombuffer(make_jpeg(ORIGINAL, 1), np.uint8), cv2.IMREAD_COLOR)


@lru_cache
def picture(longer_px: int) -> bytes:
    """The same picture in some size."""
    pixels, quality = _pixels(), ORIGINAL_QUALITY
    if longer_px < ORIGINAL.width:
        size = (longer_px, round(longer_px * ORIGINAL.height / ORIGINAL.width))
        pixels, quality = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), QUALITY
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


class _Pictures(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        is_picture = self.path.endswith(".jpg")
        body = picture(side_px(self.path)) if is_picture else b""
        self.send_response(200 if is_picture else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "image/jpeg")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _serving() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def run(folder: Path, urls: list[str], port: int, renditions: str) -> dict[str, Any]:
    """A whole job; its summary."""
    (folder / "list.txt").write_text("\n".join(urls) + "\n")
    out = folder / f"out-{renditions}"
    command = [
        sys.executable, "-m", "ray_downloader", "path_to_input=list.txt", f"path_to_output={out}",
        f"image.renditions={renditions}", "downloader_parameters.image_size=224", "politeness=unlimited",
        "downloader_parameters.pool_below=10", "profile.launcher=inline",
        f'network.connect_to={{"*:80":"127.0.0.1:{port}"}}',
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text("utf-8"))
    return summary


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40, help="of each host")
    images = parser.parse_args().images
    for longer_px in {ORIGINAL.width, 448, *_INATURALIST.values(), *_FLICKR.values()}:
        picture(longer_px)  # before any thread of the server asks for it
    for scheme, pattern in SCHEMES.items():
        with _serving() as port, tempfile.TemporaryDirectory() as scratch:
            urls = [pattern.format(n=n) for n in range(1, images + 1)]
            listed = run(Path(scratch), urls, port, "off")["download"]["bytes"] / images
            summary = run(Path(scratch), urls, port, "auto")
        received = summary["download"]["bytes"] / images
        estimated = summary["renditions"]["bytes_saved"] / images
        print(
            f"{scheme:12} {listed / 1e3:8.1f} kB listed {received / 1e3:7.1f} kB received:"
            f" {listed / received:5.1f} times fewer; saved {(listed - received) / 1e3:7.1f} kB an image,"
            f" estimated {estimated / 1e3:7.1f}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
