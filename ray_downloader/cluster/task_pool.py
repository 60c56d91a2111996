"""Runs many independent units of work on Ray, a bounded number at a time, until they end or the run drains.

For the tools on finished images: each unit writes its own result and its own marker, so a unit whose task died is
simply assigned again, and a killed run continues where it stopped.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import ray
from ray import cloudpickle
from ray.exceptions import RayError, RayTaskError

from ray_downloader.cluster.environment import restore_proxies
from ray_downloader.errors import UserError
from ray_downloader.signals import draining_on_signals

U = TypeVar("U")
R = TypeVar("R")

#: A unit whose task died this often is itself at fault.
MAX_CRASHES = 3
POLL_S = 0.5


@ray.remote(max_retries=0)
def _call(pickled: bytes, path: list[str]) -> object:
    """Unpickle and call. Modules are found where the driver found them, so tools may be in a user's folder."""
    restore_proxies()
    sys.path.extend(entry for entry in path if entry not in sys.path)
    function, unit = cloudpickle.loads(pickled)
    return function(unit)


class TaskPool:
    """Assigns units to the slots of a cluster.

    Args:
        slots: Number of tasks at once.
        cpus_per_task: Cores that each task reserves.
        require_running: Raises an error if Ray itself has ended.
    """

    def __init__(self, slots: int, cpus_per_task: float, require_running: Callable[[], None] = lambda: None) -> None:
        self._slots = slots
        self._cpus = cpus_per_task
        self._require_running = require_running
        self._running: dict[ray.ObjectRef, object] = {}
        self._crashes: Counter[int] = Counter()
        self.is_stopped = False

    def run(self, function: Callable[[U], R], units: Iterable[U]) -> Iterator[R]:
        """The result of each unit as it arrives; ends early, with `is_stopped`, on a signal to stop.

        Raises:
            RuntimeError: A unit's task died repeatedly.
            UserError, OSError: `function` raised it.
            RayTaskError: `function` raised something else; the message is its traceback.
        """
        waiting = iter(units)
        with draining_on_signals(self._stop):
            while self._fill(function, waiting) or self._running:
                done, _ = ray.wait(list(self._running), timeout=POLL_S)
                self._require_running()
                for ref in done:
                    unit = self._running.pop(ref)
                    try:
                        yield ray.get(ref)
                    except RayTaskError as error:
                        # The user's mistake is one sentence; anything else keeps the worker's traceback.
                        if isinstance(error.cause, UserError):
                            raise error.cause from None
                        if isinstance(error.cause, OSError):
                            raise error.cause from error
                        raise error from None
                    except RayError as error:
                        self._take_back(function, unit, error)

    def _fill(self, function: Callable[[U], R], waiting: Iterator[U]) -> bool:
        """Submit while slots are free; returns whether anything was submitted."""
        submitted = False
        while len(self._running) < self._slots and not self.is_stopped:
            try:
                unit = next(waiting)
            except StopIteration:
                break
            self._submit(function, unit)
            submitted = True
        return submitted

    def _submit(self, function: object, unit: object) -> None:
        task = _call.options(num_cpus=self._cpus, scheduling_strategy="SPREAD")
        self._running[task.remote(cloudpickle.dumps((function, unit)), list(sys.path))] = unit

    def _take_back(self, function: object, unit: object, error: RayError) -> None:
        self._crashes[id(unit)] += 1
        if self._crashes[id(unit)] >= MAX_CRASHES:
            raise RuntimeError(f"the task for {unit} died {MAX_CRASHES} times; last: {error}") from error
        self._submit(function, unit)

    def _stop(self, _signal_name: str) -> None:
        self.is_stopped = True
