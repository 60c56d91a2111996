"""How a demo server answers a request: pure decisions, with time as an argument.

`Answers` takes host, path and time and returns an `Answer`, which `origin` sends. The true limit of a server is a GCRA
of its own, which the downloader does not know.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from ray_downloader.demo.pictures import PictureShelf
from ray_downloader.demo.scenario import DemoImage, DemoServer, Fault, demo_images

_WEB_PAGE = b"<!DOCTYPE html><html><head><title>Moved</title></head><body>Our collection has moved.</body></html>"
#: Marker of a JPEG's Huffman tables, without which nothing in it can be read.
_HUFFMAN_TABLES = b"\xff\xc4"
#: Requests above the true rate that a limited server still answers at once.
_LIMIT_BURST = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `drip` sends the body too slowly to ever end, `hang_up` closes the connection unanswered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip: bool = False
    hang_up: bool = False


@dataclass(slots=True)
class TrueLimit:
    """The rate that a server really tolerates: a generic cell rate algorithm over one timestamp."""

    rate_rps: float
    due_s: float = 0.0

    def wait_s(self, now_s: float) -> float:
        """0 if a request now is within the limit (it is then counted), otherwise how much too early it is."""
        tolerance_s = _LIMIT_BURST / self.rate_rps
        early_s = self.due_s - now_s - tolerance_s
        if early_s > 0:
            return early_s
        self.due_s = max(self.due_s, now_s) + 1 / self.rate_rps
        return 0.0


class Answers:
    """The contents of all demo servers, and what they remember of their visitors.

    Args:
        shelf: Picture files of every format in the scenario.
    """

    def __init__(self, shelf: PictureShelf) -> None:
        self._shelf = shelf
        self._images = {(image.server.ascii_host, image.path): image for image in demo_images()}
        self._servers = {image.server.ascii_host: image.server for image in self._images.values()}
        self._limits = {
            host: TrueLimit(server.rate_rps) for host, server in self._servers.items() if server.rate_rps is not None
        }
        self._requests: Counter[str] = Counter()
        self._visited: set[tuple[str, str]] = set()

    def decide(self, host: str, target: str, now_s: float) -> Answer:
        """Answer a GET of `target` (path and query, percent-encoded) on `host` (with or without port)."""
        host = host.rpartition(":")[0].lower() if ":" in host else host.lower()
        server = self._servers.get(host)
        if server is None:
            return Answer(421)
        wait_s = self._limits[host].wait_s(now_s) if host in self._limits else 0.0
        if wait_s > 0:
            return Answer(429, headers={"Retry-After": str(math.ceil(wait_s))})
        path = unquote(urlsplit(target).path)
        if path == "/robots.txt":
            return Answer(200, server.robots.encode(), {"Content-Type": "text/plain"}) if server.robots else Answer(404)
        image = self._images.get((host, path))
        return self._image_answer(server, image) if image else Answer(404, delay_s=server.latency_s)

    def _image_answer(self, server: DemoServer, image: DemoImage) -> Answer:
        number = self._requests[server.host]
        self._requests[server.host] += 1
        if number in server.busy:
            return Answer(503, headers={"Retry-After": "1"})
        if image.fault is Fault.HANGS_UP_AT_FIRST and (server.host, image.path) not in self._visited:
            self._visited.add((server.host, image.path))
            return Answer(200, hang_up=True)
        if image.redirect_url is not None:
            return Answer(302, headers={"Location": quote(image.redirect_url, safe=":/~")}, delay_s=server.latency_s)
        if image.fault is Fault.MISSING:
            return Answer(404, _WEB_PAGE, {"Content-Type": "text/html"}, server.latency_s)
        if image.fault is Fault.WEB_PAGE:
            return Answer(200, _WEB_PAGE, {"Content-Type": "text/html; charset=utf-8"}, server.latency_s)
        headers = {
            "Content-Type": f"image/{image.format}",
            "ETag": f'"{server.host.encode("idna").decode()}-{image.number}"',
        }
        if image.fault is Fault.OPTED_OUT:
            headers["X-Robots-Tag"] = "noai, noimageai"
        return Answer(200, self._body(image), headers, server.latency_s, drip=image.fault is Fault.DRIP)

    def _body(self, image: DemoImage) -> bytes:
        file = self._shelf.file(image.format, image.number)
        if image.fault is Fault.EMPTY:
            return b""
        if image.fault is Fault.HALF_A_PICTURE:
            return file[: len(file) // 2]
        if image.fault is Fault.GARBLED:
            return garbled(file)
        return file


def garbled(jpeg: bytes) -> bytes:
    """The file with its Huffman tables overwritten: its size and dimensions are right, but it cannot be decoded."""
    start, *tables = jpeg.split(_HUFFMAN_TABLES)
    spoilt = [table[:2] + b"\xee" * min(28, len(table) - 2) + table[30:] for table in tables]
    return _HUFFMAN_TABLES.join([start, *spoilt])
