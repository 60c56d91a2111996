"""Generated worlds, of which everything must hold. `make soak` runs thousands more."""

from __future__ import annotations

import pytest

from tests.simulation.checking import found_in, report, world_of_seed
from tests.simulation.generate import GROUPED_FROM, WIDER_FROM
from tests.simulation.regressions import REGRESSIONS
from tests.simulation.world import World

WORLDS = 300
#: So many of them in `make test`; the others in `make test-thorough`.
QUICK_WORLDS = 20
#: Worlds beyond those of every run, in which whole servers were given up by what few of their files showed.
ONCE_LOST = (20_183, 20_318, 20_418, 20_486, 20_852, 20_961)
#: Worlds that failed, in which too much happens to make them small.
ONCE_FAILED = (33_200, 33_275, 34_437, 34_549, 41_084, 41_119, 43_012, 102_072, 1_003_078, 1_003_083, 1_003_095)
#: Worlds with more behaviours (`generate.widened`).
WIDE = range(WIDER_FROM, WIDER_FROM + 60)
#: Worlds with groups of servers, and quotas that say how long they last (`generate.grouped`).
GROUPED = range(GROUPED_FROM, GROUPED_FROM + 40)
#: Worlds in one test: enough that a test is worth starting, few enough that several processes share them evenly.
_CHUNK = 20


@pytest.mark.parametrize(
    "first",
    [
        *range(0, QUICK_WORLDS, _CHUNK),
        *(pytest.param(first, marks=pytest.mark.thorough) for first in range(QUICK_WORLDS, WORLDS, _CHUNK)),
    ],
)
def test_everything_holds_of_generated_worlds(first: int) -> None:
    failing = [seed for seed in range(first, first + _CHUNK) if found_in(world_of_seed(seed))]
    assert not failing, report(failing)


@pytest.mark.thorough
@pytest.mark.parametrize("first", WIDE[::_CHUNK])
def test_everything_holds_of_worlds_with_more_behaviours(first: int) -> None:
    failing = [seed for seed in range(first, first + _CHUNK) if found_in(world_of_seed(seed))]
    assert not failing, report(failing)


@pytest.mark.thorough
@pytest.mark.parametrize("first", GROUPED[::_CHUNK])
def test_everything_holds_of_worlds_with_groups(first: int) -> None:
    failing = [seed for seed in range(first, first + _CHUNK) if found_in(world_of_seed(seed))]
    assert not failing, report(failing)


@pytest.mark.thorough
def test_everything_holds_of_worlds_whose_servers_were_given_up_by_few_of_their_files() -> None:
    failing = [seed for seed in ONCE_LOST if found_in(world_of_seed(seed))]
    assert not failing, report(failing)


@pytest.mark.thorough
def test_everything_holds_of_large_worlds_that_failed_once() -> None:
    failing = [seed for seed in ONCE_FAILED if found_in(world_of_seed(seed))]
    assert not failing, report(failing)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_everything_holds_of_worlds_that_failed_once(name: str) -> None:
    world: World = REGRESSIONS[name]
    assert found_in(world) == {}
