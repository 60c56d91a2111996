"""Draws worlds. The same random source gives the same world; the first choice of each kind is the simplest.

Most worlds are small, so that thousands of them can be run: a few servers, a few dozen rows, one or two things that go
wrong. The rare ones have hundreds of rows or everything at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ray_downloader.errors import ErrorKind
from tests.simulation.world import (
    FOREVER,
    ActorRestarted,
    Bans,
    Bucket,
    ClockStepped,
    Connections,
    Drained,
    Fails,
    Fate,
    Fault,
    Limit,
    Loops,
    Moved,
    NetworkLost,
    NodeLost,
    NotImage,
    OptsOut,
    Ordered,
    Picture,
    Requeued,
    Robots,
    Row,
    Says,
    Server,
    Slow,
    Trouble,
    Window,
    WorkerKilled,
    World,
)

T = TypeVar("T")
#: Numbers from here on stand for worlds with more behaviours.
WIDER_FROM = 100_000
#: ... and from here on for worlds with groups of servers, or with quotas that say how long they last.
GROUPED_FROM = 1_000_000
PATIENCE_S = (60.0, 120.0, 240.0)


def world_of(rng: random.Random) -> World:
    """Draw a world."""
    servers = tuple(_server(rng, number) for number in range(_weighted(rng, [(1, 4), (2, 4), (3, 3), (6, 1)])))
    rows = tuple(row for number in range(len(servers)) for row in _rows(rng, number, len(servers)))
    politeness: dict[str, object] = {
        "robots": _weighted(rng, [("delay", 6), ("obey", 2), ("ignore", 2)]),
        "patience_s": rng.choice(PATIENCE_S),
    }
    if rng.random() < 0.15:
        politeness["burst"] = rng.choice([2, 5])
    if rng.random() < 0.15:
        politeness["max_connections"] = rng.choice([1, 2, 8])
    return World(
        servers=servers,
        rows=rows,
        faults=_faults(rng, len(servers)),
        nodes=_weighted(rng, [(1, 3), (2, 1)]),
        slots=rng.choice([1, 2, 3]),
        actors=rng.choice([1, 2]),
        task_seconds=rng.choice([60.0, 20.0, 5.0]),
        batch_rows=rng.choice([1000, 20]),
        pool_below=rng.choice([5, 1000]),
        rate_rps=rng.choice([10.0, 3.0, 30.0]),
        politeness=politeness,
        network={"request_timeout_s": rng.choice([300.0, 60.0])},
        chance=rng.randrange(2**16),
    )


def widened(world: World, rng: random.Random) -> World:
    """The same world with two behaviours more, of those that came later: the numbers of older worlds stay theirs."""
    for add in rng.sample([_odd_headers, _scattered_refusals, _own_waits, _unreachable_urls, _odd_statuses], 2):
        world = add(world, rng)
    return _known_to_servers(world) if rng.random() < 0.3 else world


def grouped(world: World, rng: random.Random) -> World:
    """The same world, in which servers share a budget, or say how long their minute still lasts."""
    for add in rng.choice([(_group,), (_quota,), (_group, _quota)]):
        world = add(world, rng)
    return world


def _group(world: World, rng: random.Random) -> World:
    """Two servers at least, where there are so many, and at times one of them that cannot be reached for a while."""
    members = sorted(rng.sample(range(len(world.servers)), rng.randint(min(2, len(world.servers)), len(world.servers))))
    rules = [{"server": world.servers[number].name, "group": "farm"} for number in members]
    servers = list(world.servers)
    if rng.random() < 0.6:
        kind, lasts_s = rng.choice(_LOST_KINDS), rng.choice([40.0, 150.0, FOREVER])
        start_s, after_s = rng.choice([0.0, 2.0]), rng.choice([0.05, 20.0])
        trouble = Trouble(start_s, start_s + lasts_s, kind, None, after_s)
        servers[members[0]] = replace(servers[members[0]], troubles=(trouble,))
    return replace(world, servers=tuple(servers), politeness={**world.politeness, "rules": rules})


def _quota(world: World, rng: random.Random) -> World:
    quota = Window(rng.choice([10, 25]), 60.0, rng.random() < 0.5, False, rng.choice([429, 503]), "rest")
    servers = list(world.servers)
    number = rng.randrange(len(servers))
    servers[number] = replace(servers[number], limits=(quota,), troubles=())
    return replace(world, servers=tuple(servers))


def _known_to_servers(world: World) -> World:
    """What their robots.txt says, they say to us."""
    return replace(world, servers=tuple(replace(server, robots=_to_us(server.robots)) for server in world.servers))


def _to_us(robots: Robots) -> Robots:
    return replace(robots, text=robots.text.replace("User-agent: *", "User-agent: ray_downloader"))


def _odd_headers(world: World, rng: random.Random) -> World:
    headers = rng.choice(_HEADERS)
    return replace(world, servers=tuple(replace(server, headers=headers) for server in world.servers))


def _scattered_refusals(world: World, rng: random.Random) -> World:
    """Files that are made on their first visit."""
    status, retry_after = rng.choice([503, 429]), rng.choice([None, "1"])
    return _sprinkled(world, rng, 0.08, lambda: Says(status, 1, retry_after))


def _own_waits(world: World, rng: random.Random) -> World:
    retry_after = rng.choice(["5", "60", "7200"])
    return _sprinkled(world, rng, 0.04, lambda: Says(429, FOREVER, retry_after))


def _unreachable_urls(world: World, rng: random.Random) -> World:
    kind, times = rng.choice([ErrorKind.CONNECT, ErrorKind.DNS]), rng.choice([FOREVER, 1, 2])
    return _sprinkled(world, rng, 0.05, lambda: Fails(kind, times))


def _odd_statuses(world: World, rng: random.Random) -> World:
    status = rng.choice([999, 418, 401, 520, 530, 509])
    return _sprinkled(world, rng, 0.1, lambda: Says(status))


def _sprinkled(world: World, rng: random.Random, share: float, fate: Callable[[], Fate]) -> World:
    rows = (replace(row, fate=fate()) if row.fate == Picture() and rng.random() < share else row for row in world.rows)
    return replace(world, rows=tuple(rows))


_HEADERS = (
    (("X-RateLimit-Limit", "5000"), ("X-RateLimit-Remaining", "4000"), ("X-RateLimit-Reset", "2027-01-15T08:01:00Z")),
    (("RateLimit-Policy", '"conc";q=4;qu="concurrent-requests"'), ("RateLimit", '"conc";r=3')),
    (("X-RateLimit-Remaining", "many"), ("Retry-After", "3600")),
)


def _weighted(rng: random.Random, choices: Sequence[tuple[T, int]]) -> T:
    values = [value for value, weight in choices for _ in range(weight)]
    return rng.choice(values)


# -- servers -----------------------------------------------------------------------------------------------------------


def _server(rng: random.Random, number: int) -> Server:
    return Server(
        name=f"s{number}.example",
        latency_s=_weighted(rng, [(0.05, 5), (0.3, 3), (2.0, 1)]),
        limits=(_limit(rng),) if rng.random() < 0.3 else (),
        troubles=(_trouble(rng),) if rng.random() < 0.3 else (),
        robots=_robots(rng),
    )


def _limit(rng: random.Random) -> Limit:
    kind = rng.choice(["bucket", "window", "connections", "bans"])
    status = rng.choice([429, 503])
    retry_after = rng.choice([None, "1", "10", "date:20"])
    if kind == "bucket":
        depth = rng.choice([1, 5, 30, 300])
        return Bucket(rng.choice([2.0, 5.0, 20.0]), depth, status, retry_after)
    if kind == "window":
        seconds = rng.choice([1.0, 10.0, 60.0])
        requests = max(2, int(rng.choice([2, 5]) * seconds))
        return Window(requests, seconds, rng.random() < 0.5, rng.random() < 0.5, status, retry_after)
    if kind == "connections":
        return Connections(rng.choice([3, 2, 1]), rng.choice([429, 503, ErrorKind.RESET, ErrorKind.CONNECT]))
    return Bans(rng.choice([20, 50]), 10.0)


def _trouble(rng: random.Random) -> Trouble:
    how = rng.choice(
        [503, 429, 500, 403, ErrorKind.CONNECT, ErrorKind.DNS, ErrorKind.RESET, ErrorKind.TIMEOUT]
    )  # fmt: skip
    start_s = rng.choice([0.0, 2.0, 10.0])
    lasts_s = _weighted(rng, [(5.0, 2), (40.0, 3), (150.0, 2), (FOREVER, 2)])
    retry_after = rng.choice([None, "30", "date:30", "soon"]) if how in {503, 429} else None
    after_s = rng.choice([0.05, 20.0]) if isinstance(how, ErrorKind) else 0.05
    return Trouble(start_s, start_s + lasts_s, how, retry_after, after_s)


def _robots(rng: random.Random) -> Robots:
    return _weighted(
        rng,
        [
            (Robots(404), 6),
            (Robots(200, "User-agent: *\nCrawl-delay: 1\n"), 2),
            (Robots(200, "User-agent: *\nDisallow: /private\n"), 1),
            (Robots(404, fails=1), 1),
        ],
    )


# -- the list ----------------------------------------------------------------------------------------------------------


def _rows(rng: random.Random, server: int, servers: int) -> list[Row]:
    count = _weighted(rng, [(6, 3), (15, 5), (30, 4), (3, 1), (100, 1)])
    odd_share = _weighted(rng, [(0.0, 5), (0.05, 4), (0.3, 2), (1.0, 1)])
    fate = _fate(rng, server, servers)
    rows = []
    for _ in range(count):
        if rng.random() < odd_share:
            fate = _fate(rng, server, servers) if rng.random() < 0.3 else fate  # neighbours are alike
            rows.append(Row(server, fate, mirror=_mirror(rng, servers)))
        else:
            rows.append(Row(server, copies=2 if rng.random() < 0.03 else 1))
    return rows


def _mirror(rng: random.Random, servers: int) -> tuple[int, Fate] | None:
    return (rng.randrange(servers), Picture()) if rng.random() < 0.1 else None


def _fate(rng: random.Random, server: int, servers: int) -> Fate:
    kinds: list[tuple[Callable[[], Fate], int]] = [
        (lambda: Says(rng.choice([404, 410, 403, 402, 451])), 4),
        (lambda: Says(rng.choice([500, 502, 503, 429]), rng.choice([FOREVER, 1, 2])), 4),
        (lambda: Says(rng.choice([202, 420, 429, 503, 509]), 1, "5"), 2),
        (lambda: Moved(rng.choice([1, 2, 5]), rng.choice([None, (server + 1) % servers])), 3),
        (lambda: Moved(rng.choice([1, 2]), None, needs_cookie=True), 1),
        (Loops, 1),
        (lambda: Slow(rng.choice([15.0, 50.0])), 2),
        (lambda: Fails(rng.choice([ErrorKind.RESET, ErrorKind.TIMEOUT]), rng.choice([FOREVER, 1, 2]), 1.0), 2),
        (lambda: Fails(rng.choice([ErrorKind.EMPTY, ErrorKind.TRUNCATED]), rng.choice([FOREVER, 1])), 2),
        (NotImage, 1),
        (OptsOut, 1),
    ]
    return _weighted(rng, kinds)()


# -- what goes wrong with us -------------------------------------------------------------------------------------------


def _faults(rng: random.Random, servers: int) -> tuple[Fault, ...]:
    count = _weighted(rng, [(0, 5), (1, 3), (2, 2), (4, 1)])
    faults: list[Fault] = []
    for _ in range(count):
        faults.extend(_fault(rng, servers))
    return tuple(faults)


def _fault(rng: random.Random, servers: int) -> list[Fault]:
    at_s = round(rng.uniform(0.5, 40.0), 1)
    server = rng.randrange(servers)
    kinds: list[tuple[Callable[[], list[Fault]], int]] = [
        (lambda: [WorkerKilled(at_s)], 3),
        (lambda: [ActorRestarted(at_s, rng.randrange(2), rng.choice([0.5, 3.0]))], 3),
        (lambda: [NodeLost(at_s, rng.randrange(2))], 1),
        (lambda: [Drained(at_s, rng.choice([1.0, 30.0]))], 2),
        (lambda: [Requeued(at_s, rng.choice([1.0, 30.0]))], 2),
        (lambda: [ClockStepped(at_s, rng.choice([-3600.0, 30.0, 86400.0]))], 1),
        (lambda: [NetworkLost(at_s, at_s + rng.choice([3.0, 40.0, 200.0]), rng.choice(_LOST_KINDS))], 2),
        (lambda: [Ordered(at_s, "rate", server, 1.0)], 1),
        (lambda: [Ordered(at_s, "ban", server)], 1),
        (lambda: [Ordered(at_s, "pause", server), Ordered(at_s + 60.0, "resume", server)], 1),
    ]
    return _weighted(rng, kinds)()


_LOST_KINDS = (ErrorKind.DNS, ErrorKind.CONNECT)
