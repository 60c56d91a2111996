"""Worlds that failed once, as small as they could be made; `python -m tests.simulation SEED --shrink` prints them."""

from __future__ import annotations

from ray_downloader.errors import ErrorKind
from tests.simulation.world import Fails, Requeued, Robots, Row, Server, Slow, Trouble, World

REGRESSIONS: dict[str, World] = {
    "a dozen files that are always empty, last of their server, were asked for without end": World(
        servers=(Server("s1.example"),),
        rows=(*(Row(0),) * 5, *(Row(0, Fails(ErrorKind.EMPTY)),) * 14),
    ),
    "a file whose connection is always reset, last of its server, was asked for without end": World(
        servers=(Server("s0.example"),),
        rows=(*(Row(0),) * 3, Row(0, Fails(ErrorKind.RESET))),
    ),
    "a row was lost as its server went away, for what the server answered to others before": World(
        servers=(Server("s1.example", latency_s=0.3, troubles=(Trouble(2.0, 42.0, ErrorKind.DNS),)),),
        rows=(Row(0),) * 40,
    ),
    "the last row of a server was asked for again at once while it answered 403": World(
        servers=(Server("s0.example", troubles=(Trouble(2.5, 40.0, 403),)),),
        rows=(Row(0),) * 24,
    ),
    "a slow file held the whole server up": World(
        servers=(Server("s0.example"),),
        rows=(*(Row(0),) * 20, Row(0, Slow(50.0)), *(Row(0),) * 20),
        rate_rps=1.0,
    ),
    "the Crawl-delay of a kept robots.txt was not told to the budget": World(
        servers=(Server("s1.example", robots=Robots(200, "User-agent: *\nCrawl-delay: 1\n")),),
        rows=(Row(0),) * 6,
        faults=(Requeued(1.1, pause_s=1.0),),
        rate_rps=3.0,
    ),
}
