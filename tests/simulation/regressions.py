"""Worlds that failed once, as small as they could be made; `python -m tests.simulation SEED --shrink` prints them."""

from __future__ import annotations

from tests.simulation.world import Requeued, Robots, Row, Server, World

REGRESSIONS: dict[str, World] = {
    "the Crawl-delay of a kept robots.txt was not told to the budget": World(
        servers=(Server("s1.example", robots=Robots(200, "User-agent: *\nCrawl-delay: 1\n")),),
        rows=(Row(0),) * 6,
        faults=(Requeued(1.1, pause_s=1.0),),
        rate_rps=3.0,
    ),
}
