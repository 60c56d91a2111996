"""The Slurm that `sbatch` on the PATH reaches: a user's cluster, or the one that CI brings up.

Variables: RAY_DOWNLOADER_TEST_FOLDER names a folder that all nodes see (default: beside the checkout's sources), and
RAY_DOWNLOADER_FAIL_NODE / RAY_DOWNLOADER_BOOT_NODE are commands that power a node off and on, where that is possible.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ray_downloader.slurm.addresses import own_address
from tests.support.options import OriginOptions
from tests.support.running import CHECKOUT, RunningOrigin, running_origin
from tests.support.slurm import ask, end_jobs_of, within


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-slurm", action="store_true", help="fail where there is no Slurm, instead of skipping")
    parser.addoption("--slurm-soak", action="store_true", help="also run the tests that take minutes each")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slurm-soak", default=False):
        skip = pytest.mark.skip(reason="takes minutes: make slurm-soak")
        for item in items:
            if "slurm_soak" in item.keywords:
                item.add_marker(skip)


def _missing(config: pytest.Config, sentence: str) -> None:
    if config.getoption("--require-slurm", default=False):
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest.fixture(scope="session")
def nodes(pytestconfig: pytest.Config) -> list[str]:
    """Names of the cluster's nodes."""
    if shutil.which("sbatch") is None:
        _missing(pytestconfig, "there is no sbatch on the PATH, so the Slurm tests have no cluster to run on")
    listing = subprocess.run(["sinfo", "-hN", "-o", "%N"], capture_output=True, text=True, check=False, timeout=60)
    names = sorted(set(listing.stdout.split()))
    if len(names) < 3:
        _missing(pytestconfig, f"the Slurm tests need a cluster of 3 nodes; sinfo says: {names or listing.stderr}")
    return names


@pytest.fixture
def idle_nodes(nodes: list[str]) -> list[str]:
    """The same, when at least three of them have nothing to do."""

    def are_idle() -> bool:
        return ask("sinfo", "-hN", "-o", "%T").split().count("idle") >= 3

    within(150, are_idle, "three idle nodes")
    return nodes


@pytest.fixture(scope="session")
def slurm_origin(nodes: list[str]) -> Iterator[RunningOrigin]:
    """An origin on an address that the nodes reach."""
    listing = ask("scontrol", "show", "node", "-o")
    address = own_address(re.findall(r"\bNodeAddr=(\S+)", listing))
    with running_origin(OriginOptions(listen_on=address)) as origin:
        yield origin


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """An empty folder that all nodes see; jobs that were submitted there end with the test."""
    parent = Path(os.environ.get("RAY_DOWNLOADER_TEST_FOLDER", CHECKOUT))
    with tempfile.TemporaryDirectory(prefix=".slurm-test-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
        end_jobs_of(Path(folder))


@dataclass
class Power:
    """Powers nodes off and on."""

    off: str
    on: str
    without: list[str] = field(default_factory=list)

    def fail(self, node: str) -> None:
        self.without.append(node)
        subprocess.run([*shlex.split(self.off), node], check=True, timeout=60)

    def boot(self, node: str) -> None:
        subprocess.run([*shlex.split(self.on), node], check=True, timeout=150)
        self.without.remove(node)


@pytest.fixture
def power(pytestconfig: pytest.Config) -> Iterator[Power]:
    """Power of the nodes; those that are off at the end of the test are powered on again."""
    off, on = (os.environ.get(f"RAY_DOWNLOADER_{verb}_NODE") for verb in ("FAIL", "BOOT"))
    if not off or not on:
        _missing(pytestconfig, "RAY_DOWNLOADER_FAIL_NODE and RAY_DOWNLOADER_BOOT_NODE name no commands for power")
    assert off and on
    found = Power(off, on)
    yield found
    for node in list(found.without):
        found.boot(node)


@pytest.fixture
def fail_node(power: Power) -> Callable[[str], None]:
    """Powers a node off."""
    return power.fail


@pytest.fixture
def boot_node(power: Power) -> Callable[[str], None]:
    """Powers a node on again, before the end of the test."""
    return power.boot
