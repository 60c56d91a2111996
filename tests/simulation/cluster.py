"""The cluster of a simulated run: nodes, slices that interleave, budget actors and the calls between them.

What Ray does in a real run is scripted here: starting, calling, losing. All that is started, called and lost is the
real program. Each node has a monotonic clock of its own, and calls take their time.
"""

from __future__ import annotations

import gc
import hashlib
import pickle
import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from ray_downloader.cluster.placement import Directory
from ray_downloader.cluster.ports import SliceLost
from ray_downloader.errors import ErrorKind
from ray_downloader.image import ImageError, ProcessedImage
from ray_downloader.politeness.messages import Lease, LeaseRequest, Verdict
from ray_downloader.run_folder.instants import Instant
from ray_downloader.run_folder.orders import OrderFile
from ray_downloader.run_folder.server_states import load_server_states
from ray_downloader.schedule.planner import WorkItem
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.budgets import BudgetReply, Budgets
from ray_downloader.worker.loop import Worker
from ray_downloader.worker.ports import Ports, SliceReport, TimeSlice
from ray_downloader.worker.progress import ProgressDelta
from ray_downloader.worker.robots_gate import RobotsGate
from ray_downloader.worker.robots_store import RobotsStore
from ray_downloader.worker.run_context import RunContext
from tests.simulation.network import Network, SimulatedFetcher
from tests.simulation.origin import PICTURE
from tests.simulation.scheduler import Scheduler
from tests.simulation.world import World

#: A call to an actor takes this long, there and back each.
CALL_S = (0.0004, 0.002)
START_S = 0.02
END_S = 0.005
#: How long it takes until Ray notices that a worker or a node is gone.
NOTICE_S = 0.3
#: As `cluster.budget_actor`: a call that failed with its actor is sent again after this.
RESEND_AFTER_S = 0.5
#: What one turn of the loop costs at least.
TURN_S = 0.0002


class RunsAtOnce(Executor):
    """Publishes where it is asked to, so that there is one thread in the world."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except OSError as error:
            future.set_exception(error)
        return future


def process(body: bytes, is_complete: bool, is_suspect: bool) -> ProcessedImage:
    """Tells pictures from other bodies; the pixels are the bytes."""
    if not body.startswith(PICTURE):
        raise ImageError(ErrorKind.NOT_IMAGE, "no picture")
    digest = hashlib.md5(body).hexdigest()
    return ProcessedImage(body, "jpeg", "jpeg", digest, digest, (1, 1), (1, 1))


class Actor:
    """A process that holds budgets; restarted, it goes on with what was saved last, as `cluster.budget_actor` does."""

    def __init__(self, cluster: Cluster, number: int, node: int) -> None:
        self.number, self.node = number, node
        self.incarnation = 0
        self._cluster = cluster
        self.budgets: Budgets | None = None
        self.start()

    def start(self) -> None:
        cluster = self._cluster
        self.incarnation += 1
        self.budgets = Budgets(
            cluster.context.policies,
            load_server_states(cluster.context.layout),
            clock=cluster.clock_of(self.node),
            rng=random.Random(f"{cluster.name} actor {self.number} {self.incarnation}"),
            now=cluster.now,
            incarnation=1_000 * self.number + self.incarnation,
        )
        self.budgets.remember(OrderFile(cluster.context.layout.orders_file).new())

    def die(self, down_s: float) -> None:
        """Gone, and back after that time."""
        self.budgets = None
        self.incarnation += 1
        self._cluster.scheduler.after(down_s, self.start)

    def call(self, method: str, *arguments: object) -> Any:
        """What a method of `BudgetActor` would return; both ways through pickle, as with Ray.

        Raises:
            ConnectionError: It is down.
        """
        if self.budgets is None:
            raise ConnectionError
        found = getattr(self.budgets, method)
        return pickle.loads(pickle.dumps(found(*pickle.loads(pickle.dumps(arguments))) if callable(found) else found))


class ActorCalls:
    """The driver's calls (`cluster.server_actors.ActorCalls`)."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def request(self, actors: Sequence[Actor], method: str, *arguments: object) -> list[Any]:
        """Answers of those that are there."""
        return [actor.call(method, *arguments) for actor in actors if actor.budgets is not None]

    def send(self, actors: Sequence[Actor], method: str, *arguments: object) -> None:
        """Calls that nobody waits for; one to an actor that is down is lost."""
        for actor in actors:
            self._cluster.scheduler.after(self._cluster.call_s(), lambda actor=actor: _tell(actor, method, arguments))


def _tell(actor: Actor, method: str, arguments: tuple[object, ...]) -> None:
    if actor.budgets is not None:
        actor.call(method, *arguments)


class BudgetLine:
    """A slice's line to all budgets (`worker.ports.BudgetClient`), as `cluster.budget_actor.RayBudgets` is one."""

    def __init__(self, cluster: Cluster, owner: Slice) -> None:
        self.is_draining = False
        self.hosts: Mapping[str, Verdict] = {}
        self._cluster = cluster
        self._owner = owner
        self._leases: list[Lease] = []
        self._arrives_at_s: dict[int, float] = {}

    def request(self, requests: Sequence[LeaseRequest]) -> None:
        """One call per actor."""
        by_actor: dict[int, list[LeaseRequest]] = defaultdict(list)
        for request in requests:
            by_actor[self._cluster.directory.actor_of(request.server).number].append(request)
        for number, asked in by_actor.items():
            self._send(self._cluster.actors[number], "lease", asked)

    def report(self, delta: ProgressDelta) -> None:
        """Progress goes to the first actor."""
        self._send(self._cluster.actors[0], "report", delta)

    def receive(self) -> list[Lease]:
        """Leases that have come."""
        leases, self._leases = self._leases, []
        return leases

    def _send(self, actor: Actor, method: str, message: Any) -> None:
        """Calls of one caller arrive in their order."""
        scheduler = self._cluster.scheduler
        at_s = max(scheduler.now_s + self._cluster.call_s(), self._arrives_at_s.get(actor.number, 0.0))
        self._arrives_at_s[actor.number] = at_s
        scheduler.at(at_s, lambda: self._arrive(actor, method, message))

    def _arrive(self, actor: Actor, method: str, message: Any) -> None:
        scheduler, incarnation = self._cluster.scheduler, actor.incarnation
        if actor.budgets is None:
            scheduler.after(self._cluster.call_s(), lambda: self._lost(actor, method, message))
            return
        reply = actor.call(method, message)

        def come_back() -> None:
            if actor.incarnation == incarnation:
                self._come(reply)
            else:
                self._lost(actor, method, message)

        scheduler.after(self._cluster.call_s(), come_back)

    def _come(self, reply: BudgetReply) -> None:
        self.is_draining |= reply.is_draining
        self.hosts = reply.hosts
        self._leases.extend(reply.leases)
        self._owner.wake()

    def _lost(self, actor: Actor, method: str, message: Any) -> None:
        """A task repeats its call to an actor that died, unless its end comes first."""

        def send_again() -> None:
            if not self._owner.is_gone:
                self._send(actor, method, message)

        if method == "lease":
            self._cluster.scheduler.after(RESEND_AFTER_S, send_again)


class Slice:
    """The process of one slice: a real `Worker`, whose turns are events of the world."""

    def __init__(self, cluster: Cluster, handle: int, items: Sequence[WorkItem], node: int, seconds: float) -> None:
        self.handle, self.items, self.node, self.seconds = handle, list(items), node, seconds
        self.holder = f"{cluster.name}-{handle}"
        self.is_gone = False
        self._cluster = cluster
        self._worker: Worker | None = None
        self._fetcher: SimulatedFetcher | None = None
        self._next_turn_s = float("inf")
        self._clock = cluster.clock_of(node)
        self._offset_s = self._clock() - cluster.scheduler.now_s
        cluster.scheduler.after(START_S, self._begin)

    def _begin(self) -> None:
        """As `cluster.slices.work_slice`."""
        if self.is_gone:
            return
        cluster, context = self._cluster, self._cluster.context
        settings = context.settings
        options = BatchOptions(context.retry, settings.image.extra_columns, len(self.items))
        batches = [BatchWork(context.layout, item, self.holder, options) for item in self.items]
        self._fetcher = SimulatedFetcher(cluster.network, self.holder, self._clock, cluster.scheduler)
        ports = Ports(
            fetcher=self._fetcher,
            budgets=BudgetLine(cluster, self),
            process=process,
            clock=self._clock,
            wall_clock=lambda: cluster.now().unix_s,
            rng=random.Random(self.holder),
            publish=RunsAtOnce,
        )
        robots = RobotsGate(settings.politeness.robots, RobotsStore(context.layout.robots, cluster.now().unix_s))
        time_slice = TimeSlice(self.holder, self.seconds)
        self._worker = Worker(batches, context.requests, robots, ports, time_slice)
        self._turn_at(cluster.scheduler.now_s)

    def wake(self) -> None:
        """Something has come for it."""
        if self._worker is not None and not self.is_gone:
            self._turn_at(self._cluster.scheduler.now_s)

    def _turn_at(self, at_s: float) -> None:
        if at_s < self._next_turn_s:
            self._next_turn_s = at_s
            self._cluster.scheduler.at(at_s, lambda: self._turn(at_s))

    def _turn(self, at_s: float) -> None:
        if self.is_gone or at_s != self._next_turn_s:
            return
        self._next_turn_s = float("inf")
        worker, scheduler = self._worker, self._cluster.scheduler
        assert worker is not None and self._fetcher is not None
        try:
            if worker.is_over():
                report = worker.finish()
                self._go()
                scheduler.after(END_S, lambda: self._cluster.ended(self, report))
                return
            worker.turn()
        except Exception as error:
            self._cluster.crash(self, error)
            return
        self._turn_at(self._next_s(worker, self._fetcher))

    def _next_s(self, worker: Worker, fetcher: SimulatedFetcher) -> float:
        """The turns in between would find nothing; one that found something is followed by another at once."""
        now_s = self._cluster.scheduler.now_s
        turn_s = worker.next_turn_s() - self._offset_s
        if turn_s <= now_s:
            turn_s = now_s + (TURN_S if fetcher.has_returned else max(TURN_S, fetcher.asked_timeout_s))
        return min(turn_s, max(fetcher.next_s, now_s + TURN_S))

    def kill(self) -> None:
        """SIGKILL: what was not flushed is lost, and connections are cut."""
        if self._fetcher is not None:
            self._fetcher.close()
        self._go()

    def _go(self) -> None:
        self.is_gone = True
        self._worker = self._fetcher = None
        gc.collect(0)


class Cluster:
    """Where one run's slices and actors are (`cluster.ports.SlicePool`).

    Args:
        name: Tells runs of one world apart.
    """

    def __init__(
        self, world: World, context: RunContext, network: Network, scheduler: Scheduler,
        now: Callable[[], Instant], name: str, note: Callable[..., None],
    ) -> None:  # fmt: skip
        self.context, self.network, self.scheduler, self.now = context, network, scheduler, now
        self.name = name
        self.crashes: list[BaseException] = []
        self._world = world
        self._note = note
        self._rng = random.Random(f"{world.chance} {name}")
        self._running: dict[int, Slice] = {}
        self._ended: list[tuple[Hashable, SliceReport | SliceLost]] = []
        self._handles = 0
        self.actors = [Actor(self, number, number % world.nodes) for number in range(world.actors)]
        self.directory: Directory[Actor] = Directory(dedicated={}, shared=tuple(self.actors))

    @property
    def slots(self) -> int:
        """Slices at once."""
        return self._world.nodes * self._world.slots

    def clock_of(self, node: int) -> Callable[[], float]:
        """A node's monotonic clock: it starts when the node did."""
        offset_s = 1_000.0 * (node + 1)
        return lambda: self.scheduler.now_s + offset_s

    def call_s(self) -> float:
        """How long the next call is under way."""
        return self._rng.uniform(*CALL_S)

    def submit(self, items: Sequence[WorkItem], seconds: float) -> Hashable:
        """Start a slice on the node that has the fewest."""
        handle = self._handles
        self._handles += 1
        load = [0] * self._world.nodes
        for one in self._running.values():
            load[one.node] += 1
        self._note("slice", handle, [(item.batch.server_name, item.batch.partition_id, item.left) for item in items])
        self._running[handle] = Slice(self, handle, items, load.index(min(load)), seconds)
        return handle

    def wait(self, timeout_s: float) -> Sequence[tuple[Hashable, SliceReport | SliceLost]]:
        """Slices that have ended."""
        self.scheduler.run_until(self.scheduler.now_s + timeout_s, lambda: bool(self._ended))
        ended, self._ended = self._ended, []
        return ended

    def ended(self, one: Slice, report: SliceReport) -> None:
        """A slice came to its end."""
        self._note("slice ended", one.handle, report.requests, [(item.left, round(item.ready_in_s, 3))
                                                                 for item in report.unfinished])  # fmt: skip
        if self._running.pop(one.handle, None):
            self._ended.append((one.handle, report))

    def crash(self, one: Slice, error: BaseException) -> None:
        """A slice raised what it must not."""
        self.crashes.append(error)
        self._lose(one, SliceLost(repr(error), holder=one.holder))

    def _lose(self, one: Slice, lost: SliceLost) -> None:
        one.kill()
        self._note("slice lost", one.handle, lost.reason)

        def notice() -> None:
            if self._running.pop(one.handle, None):
                self._ended.append((one.handle, lost))

        self.scheduler.after(NOTICE_S, notice)

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        """The slice that has run longest is killed."""
        for one in list(self._running.values()):
            if not one.is_gone:
                self._lose(one, SliceLost("the worker was killed", holder=one.holder))
                return

    def restart_actor(self, number: int, down_s: float) -> None:
        """An actor dies and comes back."""
        actor = self.actors[number % len(self.actors)]
        if actor.budgets is not None:
            actor.die(down_s)

    def lose_node(self, node: int) -> None:
        """All that was on it is gone; its actors start elsewhere."""
        for one in list(self._running.values()):
            if one.node == node % self._world.nodes and not one.is_gone:
                self._lose(one, SliceLost("the node was lost", is_node_lost=True, holder=one.holder))
        for actor in self.actors:
            if actor.node == node % self._world.nodes and actor.budgets is not None:
                actor.node = (node + 1) % self._world.nodes
                actor.die(2.0)

    def kill(self) -> None:
        """Everything is gone at once."""
        for one in self._running.values():
            if not one.is_gone:
                one.kill()
        self._running.clear()
        for actor in self.actors:
            actor.budgets = None
            actor.start = lambda: None  # type: ignore[method-assign]
