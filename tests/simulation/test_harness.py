"""The simulation itself: that it is deterministic, that it notices what it is there to notice, that it shrinks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from ray_downloader.politeness.server.state import ServerState
from ray_downloader.worker.kept_states import KeptStates
from tests.simulation.checking import found_in, run_world, world_of_seed
from tests.simulation.invariants import breaches, widest_excess
from tests.simulation.printing import source_of
from tests.simulation.shrink import shrunk
from tests.simulation.world import Bucket, Row, Says, Server, World
from tests.support.running import CHECKOUT
from tests.support.thorough import thorough

_CALM = World((Server("a.example"), Server("b.example")), tuple(Row(number % 2) for number in range(20)))

_PRINT_EVENTS = """
from tests.simulation.checking import run_world, world_of_seed
for seed in range(5):
    for event in run_world(world_of_seed(seed)).events:
        print(*event)
"""


def test_a_calm_world_gives_all_its_images_in_time() -> None:
    run = run_world(_CALM)
    assert breaches(run) == {}
    assert set(run.settled) == {f"{number}.0" for number in range(20)}
    assert run.exits == [0]


@pytest.mark.parametrize("seed", range(5))
def test_a_world_that_is_run_twice_is_the_same_to_the_last_event(seed: int) -> None:
    once, again = run_world(world_of_seed(seed)), run_world(world_of_seed(seed))
    assert once.events == again.events
    assert once.settled == again.settled


@pytest.mark.parametrize("seed", [70_001, thorough(70_009), thorough(70_018)])
def test_a_world_whose_budgets_are_packed_before_each_use_is_the_same(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run_world(world_of_seed(seed))
    use, packed = KeptStates.use, Counter[str]()

    def packing(states: KeptStates, budget: str, now_s: float) -> ServerState | None:
        state = states.awake.get(budget)
        if state is not None and state.is_at_rest(now_s):
            states._packed[budget] = states._pack(states.awake.pop(budget))
            packed[budget] += 1
        return use(states, budget, now_s)

    monkeypatch.setattr(KeptStates, "use", packing)
    after = run_world(world_of_seed(seed))
    assert packed
    assert (after.arrivals, after.exits, after.seconds) == (before.arrivals, before.exits, before.seconds)


@pytest.mark.thorough
def test_a_world_is_the_same_in_another_process() -> None:
    def events(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(CHECKOUT)}
        done = subprocess.run(
            [sys.executable, "-c", _PRINT_EVENTS], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert events("1") == events("2")


def test_rows_that_never_come_are_noticed() -> None:
    """The oracle is not asked by those who answer: a world is changed behind its back."""
    run = run_world(World((Server("a.example"),), (Row(0), Row(0, Says(404)))))
    run.world = World((Server("a.example"),), (Row(0), Row(0)))
    assert list(breaches(run)) == ["every_image_comes"]


def test_the_widest_excess_is_of_the_worst_window() -> None:
    assert widest_excess([0.0, 1.0, 2.0, 3.0], 1.0)[0] == pytest.approx(1.0)
    assert widest_excess([0.0, 0.0, 9.0, 9.1, 9.2], 1.0) == (pytest.approx(2.8), 9.2)


def test_a_failing_world_is_shrunk_to_what_it_takes() -> None:
    world = world_of_seed(2)
    culprit = Row(0, Says(451))
    world = World(
        servers=(*world.servers, Server("z.example", limits=(Bucket(1.0),))),
        rows=(*world.rows[:20], culprit, *world.rows[20:]),
        faults=world.faults,
    )
    small = shrunk(world, lambda one: culprit.fate in [row.fate for row in one.rows])
    assert small == World((Server(world.servers[0].name),), (culprit,))


def test_worlds_are_printed_as_the_python_that_makes_them() -> None:
    names = dict(vars(sys.modules["tests.simulation.world"]))
    for seed in range(20):
        world = world_of_seed(seed)
        assert eval(source_of(world), names) == world


def test_what_does_not_hold_is_named() -> None:
    assert found_in(_CALM) == {}
