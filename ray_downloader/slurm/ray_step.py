"""Ray on the nodes of the job, seen from the driver: starts it with one `srun`, waits for it, and stops it.

Ray requires a token of every client. It is in a file in the run folder that only the user can read, and is removed with
the step.
"""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from typing import BinaryIO

from ray_downloader.cluster.environment import environment_of_ray_processes
from ray_downloader.cluster.head_watch import HeadWatch
from ray_downloader.config.settings import ClusterSettings, DownloaderParameters
from ray_downloader.errors import RayLostError, StartError
from ray_downloader.processes import end_by_input
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.slurm.addresses import address_of_interface, is_listening, own_address, with_port
from ray_downloader.slurm.allocation import Allocation, required_allocation
from ray_downloader.slurm.commands import ENDED, NodePlan, ray_step, step_environment
from ray_downloader.slurm.job_facts import is_over
from ray_downloader.slurm.nodes import TASK_ENDED, failed_nodes, usable_nodes
from ray_downloader.slurm.ray_words import DEATH

#: Ray notices a dead node after 3 x 3 s; with its defaults it takes half a minute or more.
_HEALTH_CHECKS = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "3000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}
#: Nodes need 1-3 s; only a dead one takes longer, and waiting for that is pointless.
STOP_PATIENCE_S = 8.0
#: For `srun`'s last words, after it has ended; a process that it left may hold its output open.
_LAST_WORDS_S = 5.0
_WATCH_INTERVAL_S = 0.5
_TAIL_LINES = 12
_TOKEN_PREFIX = ".ray-token-"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RayStep:
    """A Ray that runs on the job's nodes.

    Args:
        address: `host:port` of its head.
        names: Names of its nodes.
        head: The number of the head's node.
        logs: The folder with the log of each node.
        watch: Watches over the head.
        words: What `srun` has said about the step.
    """

    address: str
    names: tuple[str, ...]
    head: int
    logs: Path
    process: subprocess.Popen[bytes]
    watch: HeadWatch
    words: list[str] = field(default_factory=list)
    _is_lost: Event = field(default_factory=Event)
    _check: Lock = field(default_factory=Lock)

    def awaits_nodes(self, joined: Collection[str]) -> bool:
        """Whether further nodes may still join.

        Args:
            joined: Host names of those that did.
        """
        gone = {*map(_label, self._ended_nodes()), *map(_label, self._lost_nodes())}
        return len(gone) + sum(_label(host) not in gone for host in joined) < len(self.names)

    def missing_words(self, joined: Collection[str]) -> str:
        """Which nodes did not join, and why, as far as their logs and `srun` tell.

        Args:
            joined: Host names of those that did.
        """
        ended, lost, known = self._ended_nodes(), self._lost_nodes(), set(map(_label, joined))
        words = [f"{name}: {self._last_words(self.names.index(name))}" for name in ended]
        words += [f"{name} is lost" for name in self.names if name in lost and name not in ended]
        silent = [name for name in self.names if _label(name) not in known and name not in {*ended, *lost}]
        if silent and known & set(map(_label, self.names)):
            words.append(f"{', '.join(silent)}: no answer")
        return "; ".join(words) or "the others do not answer"

    def _ended_nodes(self) -> list[str]:
        """The nodes whose Ray ended or never started."""
        return [name for node, name in enumerate(self.names) if ENDED in _tail(self._log(node))]

    def _lost_nodes(self) -> frozenset[str]:
        return failed_nodes("\n".join(self.words))

    def is_running(self) -> bool:
        """Whether the step and its head are running."""
        return self.process.poll() is None and ENDED not in _tail(self._log(self.head))

    def require_started(self) -> None:
        """Check that the start has not failed.

        Raises:
            RayLostError: A node was lost in the meantime; without it, Ray can start.
            StartError: The step or its head has ended for another reason.
        """
        if not self.is_running():
            lost = self._lost_nodes()
            if lost:
                raise RayLostError(f"Ray did not start, as {', '.join(sorted(lost))} is lost")
            raise StartError(f"Ray ended on the nodes of the job: {self.reason()}")

    def require_running(self) -> None:
        """Check that Ray still runs.

        Raises:
            RayLostError: The step or its head has ended, or the head accepts no connections.
        """
        if self._has_lost_ray():
            raise RayLostError("Ray is lost")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Check it all the time, for the duration of the block: a call of the driver to a dead Ray takes seconds."""
        is_over, told = Event(), {self.names[self.head], *self._ended_nodes()}
        watch = Thread(target=self._watch, args=(is_over, told, len(self.words)), name="watch over Ray", daemon=True)
        watch.start()
        try:
            yield
        finally:
            is_over.set()
            watch.join()

    def _watch(self, is_over: Event, told: set[str], heard: int) -> None:
        """Log why Ray ends on a node, as soon as `srun` says that something did.

        Args:
            told: Nodes whose end is not to be logged here.
            heard: How much `srun` has said before.
        """
        while not (self._has_lost_ray() or is_over.wait(_WATCH_INTERVAL_S)):
            if len(self.words) > heard:
                heard = len(self.words)
                for name in (name for name in self._ended_nodes() if name not in told):
                    told.add(name)
                    _log.warning("%s; the run goes on with the other nodes", self._last_words(self.names.index(name)))

    def _has_lost_ray(self) -> bool:
        """Whether Ray has ended; the first time, the reason is logged."""
        with self._check:
            if not self._is_lost.is_set() and (not self.is_running() or self.watch.is_lost()):
                # Now, as to leave Ray takes ten seconds and more.
                _log.error("the job has lost its Ray: %s. All results so far are kept", self.reason())
                self._is_lost.set()
            return self._is_lost.is_set()

    def reason(self) -> str:
        """Why Ray ended: the head's own sentence if it has one; the logs have the rest."""
        if self.is_running():
            return f"its head at {self.address} accepts no connections (logs: {self.logs})"
        return f"{self._last_words(self.head) or 'its step ended'} (logs: {self.logs})"

    def _last_words(self, node: int) -> str:
        words = [line for line in _tail(self._log(node)) if line != ENDED]
        return next((line for line in words if line.startswith(DEATH)), "; ".join(words[-3:]))

    def _log(self, node: int) -> Path:
        return self.logs / f"node-{node}.log"


@contextmanager
def running_ray_step(
    options: ClusterSettings, parameters: DownloaderParameters, layout: RunLayout
) -> Iterator[RayStep]:
    """Ray on `max_nodes` of the job's nodes, for the duration of the `with` block.

    Raises:
        UserError: This process is not part of a Slurm job.
        StartError: Ray's head does not listen within `cluster.start_timeout_s`.
    """
    allocation = usable_nodes(required_allocation(os.environ), layout).first_nodes(parameters.max_nodes)
    plan = _plan(allocation, options, parameters)
    logs = _new_folder(layout.logs, f"ray-{allocation.job_id}-{allocation.restarts}")
    with _token_file(layout, allocation.job_id) as token_file:
        environment = step_environment(os.environ) | environment_of_ray_processes(os.environ) | _HEALTH_CHECKS
        environment["RAY_AUTH_TOKEN_PATH"] = str(token_file)
        command = ray_step(plan, logs / "node-%n.log")
        with (
            subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as process,
            _forwarded(process) as words,
        ):
            try:
                watch = HeadWatch(partial(is_listening, plan.head_address))
                step = RayStep(plan.head_address, plan.names, plan.head, logs, process, watch, words)
                _await_head(step, options.start_timeout_s)
                yield step
            finally:
                end_by_input(process, STOP_PATIENCE_S)  # `srun` forwards the end of its input to the tasks


def _plan(allocation: Allocation, options: ClusterSettings, parameters: DownloaderParameters) -> NodePlan:
    workers = parameters.workers_per_node
    limit = None if workers is None else max(1, round(workers * parameters.cpu_per_worker))
    return NodePlan(
        head=allocation.names.index(allocation.own_node),
        head_address=with_port(_own_address(allocation, options), allocation.gcs_port),
        client_port=allocation.client_port,
        names=allocation.names,
        cpus=tuple(min(cpus, limit or cpus, options.num_cpus or cpus) for cpus in allocation.cpus),
        memory_mb=tuple(node.memory_mb for node in allocation.nodes),
        interface=options.interface,
        scratch=options.scratch,
        dashboard_port=allocation.dashboard_port if options.dashboard_port == "auto" else options.dashboard_port,
        start_timeout_s=options.start_timeout_s,
    )


def _own_address(allocation: Allocation, options: ClusterSettings) -> str:
    """The address under which the other nodes reach this one.

    Raises:
        UserError: `cluster.interface` is not one of this node.
    """
    if options.interface is not None:
        return address_of_interface(options.interface)
    return own_address(name for name in allocation.names if name != allocation.own_node)


def _new_folder(parent: Path, name: str) -> Path:
    """A new folder for the logs of one Ray: the words of an earlier one would be taken for its own."""
    for number in count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError


@contextmanager
def _token_file(layout: RunLayout, job_id: int) -> Iterator[Path]:
    """A new token that only the user can read. Tokens that jobs left when they lost their node are removed.

    Another job may be at work in the folder (a tool beside a download): its token is kept.
    """
    path = layout.root / f"{_TOKEN_PREFIX}{job_id}"
    path.unlink(missing_ok=True)  # of the previous run of this job
    for token in layout.root.glob(f"{_TOKEN_PREFIX}*"):
        if is_over(token.name.removeprefix(_TOKEN_PREFIX)):
            token.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(_token())
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@cache
def _token() -> str:
    """One token for this process: Ray reads it once, also for a second Ray that replaces a lost one."""
    return secrets.token_hex(32)


def _await_head(step: RayStep, timeout_s: float) -> None:
    until_s = time.monotonic() + timeout_s
    while not is_listening(step.address):
        step.require_started()
        if time.monotonic() > until_s:
            raise StartError(
                f"no Ray head listens at {step.address} after {timeout_s:g} s (cluster.start_timeout_s): "
                f"{step.reason()}"
            )
        time.sleep(0.2)
    _log.info("Ray's head listens at %s", step.address)


@contextmanager
def _forwarded(process: subprocess.Popen[bytes]) -> Iterator[list[str]]:
    """What `srun` says, up to its last words, for which it is waited a moment.

    They are read from a descriptor of their own: `srun` may wait longer for a node without power, and `Popen` closes
    its own while they are read.
    """
    said: list[str] = []
    assert process.stderr is not None
    output = os.fdopen(os.dup(process.stderr.fileno()), "rb")
    forward = Thread(target=_forward, args=(output, said), daemon=True)
    forward.start()
    try:
        yield said
    finally:
        forward.join(_LAST_WORDS_S)


def _forward(output: BinaryIO, said: list[str]) -> None:
    """Keep and log what `srun` says, apart from its remarks about options that a site does not need.

    Why a task ended is in its node's log, and is logged from there.
    """
    with output:
        for line in output:
            words = line.decode("utf-8", "replace").strip()
            if words and "lacks support for cpu binding" not in words:
                said.append(words)
                if not TASK_ENDED.search(words):
                    _log.info("%s", words)


def _label(host: str) -> str:
    """The first part of a host name: Slurm and the machine itself may differ in the rest."""
    return host.partition(".")[0]


def _tail(path: Path) -> list[str]:
    if not path.exists():
        return []
    lines = path.read_text("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()][-_TAIL_LINES:]
