"""Runs worlds and says what does not hold; shared by the tests and by `python -m tests.simulation`."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.simulation.generate import GROUPED_FROM, WIDER_FROM, grouped, widened, world_of
from tests.simulation.invariants import breaches
from tests.simulation.printing import source_of
from tests.simulation.shrink import shrunk
from tests.simulation.simulation import Run, simulate
from tests.simulation.world import World

_MEMORY = Path("/dev/shm")


@contextmanager
def _folder() -> Iterator[Path]:
    """In memory where there is such a place: a world writes some hundred small files."""
    path = Path(tempfile.mkdtemp(prefix="world-", dir=_MEMORY if _MEMORY.is_dir() else None))
    try:
        yield path / "out"
    finally:
        shutil.rmtree(path)


def run_world(world: World) -> Run:
    """Run it in a folder that is gone afterwards."""
    with _folder() as folder:
        return simulate(world, folder)


def world_of_seed(seed: int) -> World:
    """The world that a number stands for."""
    rng = random.Random(seed)
    world = world_of(rng)
    if seed >= GROUPED_FROM:
        return grouped(world, rng)
    return widened(world, rng) if seed >= WIDER_FROM else world


def found_in(world: World) -> dict[str, list[str]]:
    """What does not hold of it, by the name of the invariant."""
    return breaches(run_world(world))


def shrink(world: World, invariant: str) -> World:
    """The smallest world that was found of which this does not hold."""
    return shrunk(world, lambda smaller: invariant in found_in(smaller))


def report(seeds: list[int]) -> str:
    """What fails in these worlds, how to see it again, and the smallest world that fails like the first."""
    lines = []
    for seed in seeds:
        lines += [f"world {seed} fails; replay it with: python -m tests.simulation {seed}"]
        lines += [sentence(found_in(world_of_seed(seed)))]
    if seeds:
        world = world_of_seed(seeds[0])
        small = shrink(world, next(iter(found_in(world))))
        lines += [f"a small world that fails like {seeds[0]}:", source_of(small), sentence(found_in(small))]
    return "\n".join(lines)


def sentence(found: dict[str, list[str]]) -> str:
    """Some words on each breach."""
    return "\n".join(
        f"  {name}: {sentences[0]}" + (f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else "")
        for name, sentences in found.items()
    )
