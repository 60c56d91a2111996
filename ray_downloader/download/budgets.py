"""How a task reaches the budgets: the seam, and the plain host of many budgets behind it.

`BudgetHost` is the law's shell without Ray: a server actor wraps one, and a test or a single process uses it directly.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ray_downloader.download.server_memory import SAVED_AT
from ray_downloader.politeness.messages import Lease, LeaseRequest
from ray_downloader.politeness.rules import PolicyBook
from ray_downloader.politeness.server_state import Order, ServerState


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """A host's answer to one call.

    Args:
        is_draining: The run is ending: start nothing new and give everything back.
    """

    leases: tuple[Lease, ...]
    is_draining: bool = False


class BudgetClient(Protocol):
    """A task's line to all budgets; never blocks the event loop."""

    def ask(self, requests: Sequence[LeaseRequest]) -> None:
        """Send requests; their leases come from later `answers`."""

    def answers(self) -> list[Lease]:
        """Leases that have come since the last call."""

    def tell(self, delta: ProgressDelta) -> None:
        """Count progress; also how a task without a lease to ask for hears that the run drains."""

    @property
    def is_draining(self) -> bool:
        """Whether the run is ending."""


@dataclass(frozen=True, slots=True)
class ProgressDelta:
    """What a task did since it last told.

    Args:
        settled: Rows by server and error kind ("" for images).
        size_bytes: Bytes received.
        disallowed: Rows that robots.txt would exclude, by server.
    """

    settled: Mapping[tuple[str, str], int]
    size_bytes: int
    disallowed: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """The sum of what tasks told; see `ProgressDelta`."""

    settled: Counter[tuple[str, str]] = field(default_factory=Counter)
    size_bytes: int = 0
    disallowed: Counter[str] = field(default_factory=Counter)

    def add(self, delta: ProgressDelta) -> None:
        """Count what one task told."""
        self.settled.update(delta.settled)
        self.size_bytes += delta.size_bytes
        self.disallowed.update(delta.disallowed)


class BudgetHost:
    """Holds the budgets of many servers and answers requests for them.

    Args:
        policies: What each server may be asked for.
        saved: Snapshots of an earlier run or of a host that died, by budget.
    """

    def __init__(
        self,
        policies: PolicyBook,
        saved: Mapping[str, Mapping[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._policies = policies
        self._saved = dict(saved or {})
        self._clock = clock
        self._rng = rng or random.Random()
        self._states: dict[str, ServerState] = {}
        self._is_draining = False
        self.progress = Progress()

    def lease(self, requests: Sequence[LeaseRequest]) -> HostAnswer:
        """Answer each request, in order."""
        now_s = self._clock()
        leases = tuple(self._state(request.server, now_s).handle(request, now_s, self._rng) for request in requests)
        return HostAnswer(leases, self._is_draining)

    def _state(self, budget: str, now_s: float) -> ServerState:
        state = self._states.get(budget)
        if state is None:
            policy = self._policies.policy(budget)
            snapshot = self._saved.pop(budget, None)
            if snapshot:
                age_s = max(0.0, time.time() - snapshot[SAVED_AT])
                state = ServerState.restore(policy, snapshot, age_s, now_s)
            else:
                state = ServerState(policy, now_s)
            self._states[budget] = state
        return state

    def tell(self, delta: ProgressDelta) -> HostAnswer:
        """Count what a task did."""
        self.progress.add(delta)
        return HostAnswer((), self._is_draining)

    def order(self, budget: str, action: Order, value: float | None) -> None:
        """Obey the operator."""
        self._state(budget, self._clock()).order(action, value)

    def drain(self) -> None:
        """From now on every answer says that the run is ending."""
        self._is_draining = True

    def snapshots(self) -> dict[str, dict[str, Any]]:
        """The learned state of every server that was asked for, as JSON-able values."""
        now_s = self._clock()
        return {budget: state.snapshot(now_s) for budget, state in self._states.items()}


class LocalBudgets:
    """A `BudgetClient` on a host in the same process."""

    def __init__(self, host: BudgetHost) -> None:
        self._host = host
        self._leases: list[Lease] = []
        self.is_draining = False

    def ask(self, requests: Sequence[LeaseRequest]) -> None:
        """Answered at once; the answer waits for `answers`."""
        answer = self._host.lease(requests)
        self._leases.extend(answer.leases)
        self.is_draining = answer.is_draining

    def tell(self, delta: ProgressDelta) -> None:
        """Count progress."""
        self.is_draining = self._host.tell(delta).is_draining

    def answers(self) -> list[Lease]:
        """Leases that have come since the last call."""
        leases, self._leases = self._leases, []
        return leases
