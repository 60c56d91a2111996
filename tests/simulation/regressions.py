"""Worlds that failed once, as small as they could be made; `python -m tests.simulation SEED --shrink` prints them."""

from __future__ import annotations

from ray_downloader.errors import ErrorKind
from tests.simulation.world import (
    Bucket,
    Connections,
    Fails,
    NetworkLost,
    Picture,
    Requeued,
    Robots,
    Row,
    Says,
    Server,
    Slow,
    Trouble,
    Window,
    World,
)

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
    "the last permits of one lease spent retries of the next, and a row that comes empty once was lost": World(
        servers=(
            Server("s0.example", robots=Robots(text="User-agent: *\nDisallow: /private\n")),
            Server("s1.example", troubles=(Trouble(2.0, 152.0, 403),), robots=Robots(404, fails=1)),
            Server(
                "s2.example",
                latency_s=0.3,
                limits=(Window(120, 60.0, status=503),),
                robots=Robots(text="User-agent: *\nCrawl-delay: 1\n"),
            ),
        ),
        rows=(
            Row(0, Says(503, 1, "5")),
            *(Row(0, Fails(ErrorKind.EMPTY, 1)),) * 5,
            Row(1),
            Row(1, copies=2),
            *(Row(1),) * 4,
            *(Row(2),) * 7,
        ),
        nodes=2,
        rate_rps=30.0,
        politeness={"robots": "delay", "patience_s": 60.0},
    ),
    "the last row of a server was lost in its trouble, as nothing else was left to compare it with": World(
        servers=(
            Server("s0.example"),
            Server(
                "s1.example",
                limits=(Connections(2, ErrorKind.CONNECT),),
                troubles=(Trouble(10.0, 50.0, 500),),
            ),
        ),
        rows=(*(Row(0, Slow(15.0)),) * 2, Row(0, Fails(ErrorKind.EMPTY), mirror=(1, Picture())), *(Row(1),) * 30),
        slots=1,
        task_seconds=5.0,
    ),
    "the last row of a server, which a limit had refused before, was lost in its trouble": World(
        servers=(
            Server(
                "s4.example",
                limits=(Bucket(5.0, status=503, retry_after="1"),),
                troubles=(Trouble(10.0, 50.0, 429, "soon"),),
            ),
        ),
        rows=(Row(0),) * 15,
        nodes=2,
        actors=2,
        task_seconds=5.0,
        pool_below=1000,
        politeness={"robots": "ignore", "patience_s": 240.0},
    ),
    "a row was lost for a connection that was reset as its server, or our network, went away": World(
        servers=(Server("s1.example", latency_s=2.0, troubles=(Trouble(2.0, 42.0, ErrorKind.RESET, after_s=20.0),)),),
        rows=(*(Row(0),) * 5, Row(0, copies=2), *(Row(0),) * 17),
        faults=(NetworkLost(9.7, 209.7, ErrorKind.CONNECT),),
        batch_rows=20,
        pool_below=1000,
        rate_rps=30.0,
        politeness={"robots": "delay", "patience_s": 120.0},
    ),
}
