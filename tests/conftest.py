"""For all tests: the loopback origin, real data if it is beside the checkout, and which tests share a process."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.options import OriginOptions
from tests.support.running import CHECKOUT, RunningOrigin, running_origin

# A machine that does other work is slow; a test that never ends meets pytest's own timeout. Each run draws the same
# examples, so that a commit fails for what it changed; `--hypothesis-profile=random` draws others.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("same")
# libcurl looks names up by itself, also those that end in `.invalid`. A name server that loses a query is asked again
# after a second, not after five, so that this ends as a failed look-up within any time-out of these tests.
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")

#: Folders whose tests share one Ray or one MPI launcher, so `pytest -n` keeps them in one process.
_IN_ONE_PROCESS = ("mpi", "ray", "slurm")
#: Folders whose modules each start something that their tests share.
_A_PROCESS_PER_MODULE = ("conf", "http", "unit")
#: Folders whose tests begin first: what is left for the end is short.
_ORDER = {folder: place for place, folder in enumerate(("e2e", "slurm", "ray", "mpi", "simulation"))}


# The tests that a process collects are there until it ends. Searched for cycles again and again, they cost each process
# two seconds while they are collected, and each test a little more.
gc.disable()


def pytest_collection_finish() -> None:
    """From now on the collector of cycles looks at what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which puts a test's group into its name
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group tests for `pytest -n N --dist loadgroup --no-loadscope-reorder`; whole jobs are spread one by one.

    Whole jobs begin first, as they take longest and mostly wait.
    """
    paths = {path: path.relative_to(CHECKOUT / "tests") for path in {item.path for item in items}}
    items.sort(key=lambda item: _ORDER.get(paths[item.path].parts[0], len(_ORDER)))
    for item in items:
        path = paths[item.path]
        folder = path.parts[0]
        if folder in _IN_ONE_PROCESS:
            item.add_marker(pytest.mark.xdist_group(folder))
        elif folder in _A_PROCESS_PER_MODULE or path.stem == "test_existing_ray":
            item.add_marker(pytest.mark.xdist_group(str(path)))


@pytest.fixture(scope="session")
def origin() -> Iterator[RunningOrigin]:
    """One origin for the whole session."""
    with running_origin(OriginOptions(tls=True)) as running:
        yield running


@pytest.fixture(autouse=True)
def _origin_without_a_past(request: pytest.FixtureRequest) -> None:
    """What an origin saw in earlier tests is forgotten: no test depends on which others ran before it."""
    if "origin" in request.fixturenames:
        request.getfixturevalue("origin").forget()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real lists and pictures. Tests that need it are skipped without it."""
    folder = CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no ../shared/data beside the checkout")
    return folder
