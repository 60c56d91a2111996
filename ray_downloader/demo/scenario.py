"""What the demo's servers contain and how each behaves: pure data, used by the list, the servers and the tests.

Host names look real but are reserved (`.example`, RFC 2606), so no request can reach the Internet. Every image has one
`Fault`, and `EXPECTED_KINDS` has the outcome of a correct download.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ray_downloader.errors import ErrorKind


class Fault(str, Enum):
    """What is wrong with an image on a demo server."""

    NONE = "none"
    MISSING = "missing"
    WEB_PAGE = "web_page"
    EMPTY = "empty"
    HALF_A_PICTURE = "half_a_picture"
    GARBLED = "garbled"
    DRIP = "drip"
    OPTED_OUT = "opted_out"
    REDIRECT = "redirect"
    REDIRECT_LOOP = "redirect_loop"
    HANGS_UP_AT_FIRST = "hangs_up_at_first"
    DEAD = "dead"


#: The error kind of a faulty image; faults that are not listed end in a success. Rows of a dead server end as `connect`
#: instead if they were tried often enough before the server was declared dead.
EXPECTED_KINDS: Mapping[Fault, ErrorKind] = {
    Fault.MISSING: ErrorKind.HTTP_4XX,
    Fault.WEB_PAGE: ErrorKind.NOT_IMAGE,
    Fault.EMPTY: ErrorKind.EMPTY,
    Fault.HALF_A_PICTURE: ErrorKind.TRUNCATED,
    Fault.GARBLED: ErrorKind.DECODE_FAILED,
    Fault.DRIP: ErrorKind.TOO_SLOW,
    Fault.OPTED_OUT: ErrorKind.OPTED_OUT,
    Fault.REDIRECT_LOOP: ErrorKind.REDIRECT_LOOP,
    Fault.DEAD: ErrorKind.SERVER_DEAD,
}


@dataclass(frozen=True, slots=True)
class DemoServer:
    """One host of the list.

    Args:
        host: Host name in lower case; may be non-ASCII, as in real lists.
        images: Number of its pictures.
        story: What it demonstrates, in a few words.
        port: The port in its URLs; `network.connect_to` has the actual one.
        rate_rps: Above this many requests/s it answers 429 with Retry-After; None: never.
        latency_s: How long it takes to answer.
        formats: File formats of its pictures, alternating.
        path: Pattern of its paths.
        faults: Numbers of the images with each fault.
        robots: Its robots.txt; if empty, the answer is 404.
        busy: Which of the requests for its pictures, counted from 0, it answers 503 with Retry-After.
    """

    host: str
    images: int
    story: str
    port: int = 80
    rate_rps: float | None = None
    latency_s: float = 0.005
    formats: tuple[str, ...] = ("jpeg",)
    path: str = "/images/{number:05d}.{format}"
    faults: Mapping[Fault, Sequence[int]] = field(default_factory=dict)
    robots: str = ""
    busy: range = range(0)

    @property
    def ascii_host(self) -> str:
        """The host as it is sent in a request."""
        return self.host.encode("idna").decode("ascii")

    @property
    def origin(self) -> str:
        """Scheme, host and port, with which its URLs start."""
        return f"http://{self.host}" + ("" if self.port == 80 else f":{self.port}")

    @property
    def is_dead(self) -> bool:
        """Whether nothing listens on its port."""
        return Fault.DEAD in self.faults


@dataclass(frozen=True, slots=True)
class DemoImage:
    """One picture on one server; `redirect_url` is the target of a redirecting fault."""

    server: DemoServer
    number: int
    format: str
    path: str
    fault: Fault
    redirect_url: str | None = None

    @property
    def url(self) -> str:
        """Its URL."""
        return self.server.origin + self.path


MUSEUM = DemoServer("images.museum.example", 420, "fast and generous")

SERVERS: tuple[DemoServer, ...] = (
    MUSEUM,
    DemoServer(
        "static.naturewatch.example", 480, "the big one", latency_s=0.02, path="/photos/{number}/original.{format}"
    ),
    DemoServer("media.herbarium.example", 280, "true limit 25 requests/s, answers 429 above", rate_rps=25.0),
    DemoServer(
        "digital.botanicgarden.example",
        120,
        "a burst of 503, then healthy again",
        formats=("jpeg", "png"),
        busy=range(50, 56),
        faults={Fault.HANGS_UP_AT_FIRST: (10, 90)},
    ),
    DemoServer(
        "www.oldserver.university.example",
        120,
        "missing files, and web pages where images were",
        port=8080,
        formats=("jpeg", "gif"),
        path="/~biology/fotos/IMG {number:04d}.{format}",
        faults={
            Fault.MISSING: range(0, 120, 8),
            Fault.WEB_PAGE: range(3, 120, 16),
            Fault.EMPTY: (5, 45),
            Fault.HALF_A_PICTURE: (6, 46, 86),
            Fault.GARBLED: (2, 42),
        },
    ),
    DemoServer(
        "resolver.pid.example",
        80,
        "only redirects",
        path="/ark:/65665/{number:05d}",
        faults={Fault.REDIRECT: range(78), Fault.REDIRECT_LOOP: range(78, 80)},
    ),
    DemoServer("fotos.jardín-botánico.example", 60, "non-ASCII host", latency_s=0.06, formats=("jpeg", "webp")),
    DemoServer(
        "scans.slowarchive.example",
        50,
        "slow, and two drips that never end",
        latency_s=0.3,
        faults={Fault.DRIP: (20, 40)},
    ),
    DemoServer("portfolio.artist.example", 24, "opted out by X-Robots-Tag", faults={Fault.OPTED_OUT: range(0, 24, 3)}),
    DemoServer("zoo.example", 40, "robots.txt has a Crawl-delay", robots="User-agent: *\nCrawl-delay: 0.1\n"),
    DemoServer("gone.collection.example", 12, "nothing listens there", faults={Fault.DEAD: range(12)}),
    *(
        DemoServer(
            f"town{number:02d}.smallmuseums.example", 2 + number % 5, "a small server, pooled", formats=("png", "jpeg")
        )
        for number in range(24)
    ),
)


def demo_images() -> Iterator[DemoImage]:
    """Every picture of every server, in a fixed order."""
    for server in SERVERS:
        fault_of = {number: fault for fault, numbers in server.faults.items() for number in numbers}
        for number in range(server.images):
            yield _image(server, number, fault_of.get(number, Fault.NONE))


def _image(server: DemoServer, number: int, fault: Fault) -> DemoImage:
    picture_format = server.formats[number % len(server.formats)]
    path = server.path.format(number=number, format=picture_format)
    target = {Fault.REDIRECT: MUSEUM.origin + _museum_path(number), Fault.REDIRECT_LOOP: server.origin + path}
    return DemoImage(server, number, picture_format, path, fault, target.get(fault))


def _museum_path(number: int) -> str:
    return MUSEUM.path.format(number=number, format=MUSEUM.formats[0])
