"""The budget actors of one run, as the driver sees them: watched, saved, drained. How they are called is a port."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from ray_downloader.cluster.placement import Directory
from ray_downloader.cluster.ports import RunMode
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.instants import Instant
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.run_folder.packed_states import LearnedFacts
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.run_folder.server_states import StatesFile
from ray_downloader.worker.news import ProgressNews
from ray_downloader.worker.run_context import RunContext

T = TypeVar("T")
Actor_contra = TypeVar("Actor_contra", contravariant=True)


class ActorCalls(Protocol[Actor_contra]):
    """Calls methods of budget actors (`BudgetActor`)."""

    def request(self, actors: Sequence[Actor_contra], method: str, *arguments: object) -> list[Any]:
        """Their answers; one that is restarting is left out."""

    def send(self, actors: Sequence[Actor_contra], method: str, *arguments: object) -> None:
        """Call without waiting for the result."""


class ServerActors(Generic[T]):
    """All budget actors (`ports.BudgetActors`).

    Args:
        context: The run.
        directory: Which actor holds which budget.
        calls: Calls the actors.
        now: The moment, with which snapshots are saved.
    """

    def __init__(
        self,
        context: RunContext,
        directory: Directory[T],
        calls: ActorCalls[T],
        now: Callable[[], Instant] = Instant.now,
    ) -> None:
        self._context = context
        self._directory = directory
        self._calls = calls
        self._now = now
        self._file = StatesFile(context.layout)
        self._snapshots = self._file.load_packed()
        #: Numbers of the last news of all actors.
        self._received: frozenset[int] = frozenset()
        self._mode = RunMode()
        #: Orders with the actors that must obey them, until all have said that they do.
        self._undelivered: list[tuple[ServerOrder, Sequence[T]]] = []

    def expected_rate_rps(self, batch: Batch) -> float:
        """Requests/s that a batch's servers are expected to allow: learned, profiled or default."""
        policies = self._context.policies
        learned = self.learned().get(policies.budget_key(batch.server_name), LearnedFacts())
        rate_rps = learned.rate_rps or policies.policy(batch.server_name).start_rate_rps
        if rate_rps is None:
            return math.inf
        return rate_rps * (batch.servers if batch.server_name == POOLED else 1)

    def progress(self, received: int | None) -> ProgressNews | None:
        """What tasks reported to the first shared actor since the last news; None while that one is restarting."""
        self._deliver()
        for answer in self._calls.request(self._directory.shared[:1], "progress_news", received):
            assert isinstance(answer, ProgressNews)
            return answer
        return None

    def waiting(self) -> Mapping[str, Waiting]:
        """Budgets that get no request now, and the reasons."""
        return {
            budget: waiting
            for answer in self._calls.request(self._directory.actors, "waiting")
            for budget, waiting in answer.items()
        }

    def has_answered(self, server: str | None = None) -> bool:
        """Whether the server, or any server, ever answered: in this run (as last saved) or an earlier one."""
        if server is None:
            return any(facts.has_answered for facts in self.learned().values())
        return self.learned().get(self._context.policies.budget_key(server), LearnedFacts()).has_answered

    def order(self, order: ServerOrder) -> None:
        """Pass an operator's order to the actor with the server's budget; an order for a group's host reaches all.

        An actor that is restarting may have read the file with the orders before this one was in it, so an order is
        passed on until it was received.
        """
        budget = self._context.policies.budget_key(order.server)
        is_of_host = budget != order.server and order.action != "rate"
        actors = self._directory.actors if is_of_host else [self._directory.actor_of(budget)]
        self._undelivered.append((order, actors))
        self._deliver()

    def _deliver(self) -> None:
        waiting, self._undelivered = self._undelivered, []
        for order, actors in waiting:
            if self._undelivered or len(self._calls.request(actors, "order", order)) < len(actors):
                self._undelivered.append((order, actors))  # and those after it, as the last word counts

    def forget(self, holder: str) -> None:
        """Free the connections that a lost task had to servers."""
        self._calls.send(self._directory.actors, "forget", holder)

    def enter(self, mode: RunMode) -> None:
        """Report the condition of the run."""
        before, self._mode = self._mode, mode
        actors = self._directory.actors
        if mode.is_idle is not before.is_idle:
            self._calls.send(actors, "note_idle", mode.is_idle)
        if mode.is_outage is not before.is_outage:
            self._calls.send(actors, "note_outage", mode.is_outage)
        if mode.is_draining and not before.is_draining:
            self._calls.send(actors, "drain")

    def save(self) -> None:
        """Save what the actors learned since the last time."""
        # A restarted actor does not know the condition of the run; for the others it is nothing new.
        mode, self._mode = self._mode, RunMode()
        self.enter(mode)
        is_more = True
        while is_more:
            saved_at = self._now().in_state()
            news = self._calls.request(self._directory.actors, "state_news", self._received)
            self._received = frozenset(one.number for one in news)
            is_more = any(one.is_more for one in news)
            self._keep({budget: {**state, **saved_at} for one in news for budget, state in one.states.items()})

    def _keep(self, changed: Mapping[str, Mapping[str, Any]]) -> None:
        for budget, state in changed.items():
            self._snapshots[budget] = state
        self._file.save(self._snapshots, changed)

    def learned(self) -> Mapping[str, LearnedFacts]:
        """What was learned about each budget, as last saved."""
        return self._snapshots.facts
