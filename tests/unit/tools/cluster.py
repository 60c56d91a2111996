"""What the tools need of a cluster, in this process: it remembers what it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ray_downloader.config.settings import DownloaderParameters
from ray_downloader.run_folder.layout import RunLayout


@dataclass
class HereCluster:
    """Does units one after the other.

    Args:
        slots: Tasks at once, as the cluster says.
        stops_after: Units after which a signal comes.
        started: Resources and tool name of each start.
        pools: Slots and cores per task of each pool.
    """

    slots: int = 2
    stops_after: int | None = None
    started: list[tuple[DownloaderParameters, tuple[str, ...]]] = field(default_factory=list)
    pools: list[tuple[int, float]] = field(default_factory=list)
    done: list[Any] = field(default_factory=list)
    is_stopped: bool = False

    @contextmanager
    def running(
        self, _cluster: object, options: DownloaderParameters, _layout: RunLayout, *name: str
    ) -> Iterator[SimpleNamespace]:
        self.started.append((options, name))
        yield SimpleNamespace(slots=self.slots, require_running=lambda: None)

    def pool(self, slots: int, cpus_per_task: float, _require_running: Callable[[], None]) -> HereCluster:
        self.pools.append((slots, cpus_per_task))
        return self

    def run(self, function: Callable[[Any], Any], units: Iterable[Any]) -> Iterator[Any]:
        for unit in units:
            if self.stops_after is not None and len(self.done) >= self.stops_after:
                self.is_stopped = True
                return
            self.done.append(unit)
            yield function(unit)


def install(monkeypatch: pytest.MonkeyPatch) -> HereCluster:
    """Put it in the place of Ray."""
    cluster = HereCluster()
    for name, members in (("connect", {"running_cluster": cluster.running}), ("task_pool", {"TaskPool": cluster.pool})):
        module = ModuleType(f"ray_downloader.cluster.{name}")
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return cluster
