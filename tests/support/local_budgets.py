"""Budgets in the same process as the worker that asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray_downloader.politeness.messages import Lease, LeaseRequest, Verdict
from ray_downloader.worker.budgets import Budgets
from ray_downloader.worker.progress import ProgressDelta


class LocalBudgets:
    """A `BudgetClient` whose budgets are in the same process."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._leases: list[Lease] = []
        self.is_draining = False
        self.hosts: Mapping[str, Verdict] = {}

    def request(self, requests: Sequence[LeaseRequest]) -> None:
        """Answered at once; the answer waits for `receive`."""
        answer = self._budgets.lease(requests)
        self._leases.extend(answer.leases)
        self.is_draining = answer.is_draining
        self.hosts = answer.hosts

    def report(self, delta: ProgressDelta) -> None:
        """Count progress."""
        answer = self._budgets.report(delta)
        self.is_draining, self.hosts = answer.is_draining, answer.hosts

    def receive(self) -> list[Lease]:
        """Leases that have come since the last call."""
        leases, self._leases = self._leases, []
        return leases
