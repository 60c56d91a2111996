"""Makes a failing world smaller, as long as the same invariant fails: what is left is what it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.world import Moved, Ordered, Picture, Robots, Row, World

#: Worlds that are tried at most.
MOST_TRIES = 150


def shrunk(world: World, still_fails: Callable[[World], bool]) -> World:
    """A small world that still fails.

    Args:
        still_fails: Runs a world, and says whether the invariant that is looked at is broken.
    """
    tries = 0
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _smaller(world):
            tries += 1
            if tries > MOST_TRIES:
                return world
            if still_fails(smaller):
                world, is_smaller = smaller, True
                break
    return world


def _smaller(world: World) -> Iterator[World]:
    """Worlds that lack something; the big steps first."""
    if len(world.servers) > 1:
        for number in range(len(world.servers)):
            yield without_server(world, number)
    for number in range(len(world.faults)):
        yield replace(world, faults=world.faults[:number] + world.faults[number + 1 :])
    yield from _fewer_rows(world)
    yield from _simpler_settings(world)
    for number, server in enumerate(world.servers):
        simpler = [
            replace(server, limits=()), replace(server, troubles=()), replace(server, robots=Robots(404)),
            replace(server, headers=()), replace(server, latency_s=0.05),
        ]  # fmt: skip
        for one in simpler:
            if one != server:
                yield replace(world, servers=(*world.servers[:number], one, *world.servers[number + 1 :]))
    yield from _plainer_rows(world)


def _fewer_rows(world: World) -> Iterator[World]:
    count = len(world.rows)
    size = count // 2
    while size >= 1:
        for start in range(0, count, size):
            kept = world.rows[:start] + world.rows[start + size :]
            if kept:
                yield replace(world, rows=kept)
        size //= 2


def _plainer_rows(world: World) -> Iterator[World]:
    """All rows of one fate become plain at once; then row by row."""
    for fate in dict.fromkeys(row.fate for row in world.rows if row.fate != Picture()):
        yield replace(
            world, rows=tuple(replace(row, fate=Picture()) if row.fate == fate else row for row in world.rows)
        )
    for number, row in enumerate(world.rows):
        if row != Row(row.server):
            yield replace(world, rows=(*world.rows[:number], Row(row.server), *world.rows[number + 1 :]))


def _simpler_settings(world: World) -> Iterator[World]:
    plain = World((), ())
    for name in ("nodes", "slots", "actors", "task_seconds", "batch_rows", "pool_below", "rate_rps", "chance"):
        if getattr(world, name) != getattr(plain, name):
            yield replace(world, **{name: getattr(plain, name)})
    for group in ("politeness", "network"):
        values: dict[str, object] = getattr(world, group)
        for key in values:
            yield replace(world, **{group: {name: value for name, value in values.items() if name != key}})


def without_server(world: World, number: int) -> World:
    """The world without a server, its rows and whatever points at it."""

    def moved(server: int) -> int:
        return server - (server > number)

    rows = []
    for row in world.rows:
        if row.server == number:
            continue
        fate = row.fate
        if isinstance(fate, Moved) and fate.to is not None:
            fate = Picture() if fate.to == number else replace(fate, to=moved(fate.to))
        mirror = row.mirror
        if mirror is not None:
            mirror = None if mirror[0] == number else (moved(mirror[0]), mirror[1])
        rows.append(replace(row, server=moved(row.server), fate=fate, mirror=mirror))
    faults = tuple(
        replace(fault, server=moved(fault.server)) if isinstance(fault, Ordered) else fault
        for fault in world.faults
        if not (isinstance(fault, Ordered) and fault.server == number)
    )
    servers = world.servers[:number] + world.servers[number + 1 :]
    return replace(world, servers=servers, rows=tuple(rows), faults=faults)
