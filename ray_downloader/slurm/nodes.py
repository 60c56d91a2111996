"""Which of the job's nodes can work: those that Slurm still counts, that answer, and that see the run folder.

A job with `--no-kill` outlives its nodes, but a step that names a lost one does not start. So before each step the
nodes are checked by a step of their own, and one that does not answer is left out.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ray_downloader.errors import StartError, UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.work_folder import WorkNote
from ray_downloader.slurm.allocation import Allocation
from ray_downloader.slurm.commands import check_step, step_environment
from ray_downloader.slurm.hostlist import expand_hostlist
from ray_downloader.slurm.job_facts import ask_job, slurm_name
from ray_downloader.slurm.node_check import READY, UNSHARED

#: `srun` reports a node without power after 3 s (22.05); Python on a busy file system may take tens of seconds.
CHECK_TIMEOUT_S = 60.0
#: Lost nodes are known by name after the first attempt; every further one is for a loss in the meantime.
MAX_CHECKS = 4
#: How `srun` names nodes that it could not reach, or that failed.
_FAILED = re.compile(r"(?:failed on node|Node failure on|Unable to contact node) ([\w.,\[\]-]+)")

#: With what `srun` follows the words of a task, or of the daemon that could not start it.
TASK_ENDED = re.compile(r"^srun: error: \S+: tasks? [\d,-]+: ")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a check found.

    Args:
        state_by_node: `ready` or `unshared`, for every node that answered.
        failed: Nodes that `srun` could not reach.
        words: What `srun` and the nodes said about errors.
    """

    state_by_node: dict[str, str] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()

    @classmethod
    def parse(cls, output: str, errors: str) -> Answers:
        """Parse the two streams of the step."""
        pairs = (line.split() for line in output.splitlines())
        states = {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[1] in {READY, UNSHARED}}
        return cls(states, failed_nodes(errors), tuple(filter(None, map(str.strip, errors.splitlines()))))

    def reason(self, node: str) -> str:
        """Why a node did not answer, in Slurm's words if they name it; that its task ended is no reason by itself."""
        named = [line for line in self.words if re.search(rf"\b{re.escape(node)}\b", line)]
        return min(named, key=lambda line: bool(TASK_ENDED.search(line)), default="it does not answer")


def usable_nodes(allocation: Allocation, layout: RunLayout) -> Allocation:
    """The part of the allocation that can work; what is left out is logged with the reason.

    Raises:
        UserError: The run folder is not shared by the nodes.
        StartError: Not even the node of this process is usable.
    """
    left = _without_lost(allocation)
    if len(left.nodes) == 1:
        return left
    with _proof(layout, left.job_id) as (proof, secret):
        is_repeated = False
        for _ in range(MAX_CHECKS):
            answers = _ask(left, proof, secret)
            _require_shared(answers, left, layout)
            silent = [name for name in left.names if name not in answers.state_by_node]
            # A node that cannot be reached ends the step on the others as well, perhaps before they answered.
            lost = [name for name in silent if name in answers.failed] or silent
            if not lost:
                return left
            if not (is_repeated or set(lost) & answers.failed):
                is_repeated = True  # it may only have been too busy
                continue
            for name in lost:
                _log.warning("node %s cannot be used, the job goes on without it: %s", name, answers.reason(name))
            left = left.only([name for name in left.names if name not in lost])
            if left.own_node not in left.names:
                raise StartError(f"no step runs on {left.own_node}, the node of this job's script: " + _said(answers))
            if len(left.nodes) == 1:
                return left
    raise StartError(f"the job loses one node after the other; last: {_said(answers)}")


def failed_nodes(errors: str) -> frozenset[str]:
    """The nodes that `srun` could not reach, or that failed."""
    return frozenset(name for names in _FAILED.findall(errors) for name in expand_hostlist(names))


def _without_lost(allocation: Allocation) -> Allocation:
    """Leave out the nodes that Slurm has removed from the job."""
    counted = ask_job(slurm_name(allocation)).node_names()
    lost = [name for name in allocation.names if name not in counted]
    if not counted or not lost:
        return allocation
    _log.warning("Slurm has lost %s: the job goes on with the other nodes", ", ".join(lost))
    return allocation.only(counted)


def _ask(allocation: Allocation, proof: Path, secret: str) -> Answers:
    command = check_step(allocation.names, proof, secret)
    with subprocess.Popen(
        command, env=step_environment(os.environ), text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as step:  # fmt: skip
        try:
            output, errors = step.communicate(timeout=CHECK_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            step.terminate()
            output, errors = step.communicate()
        except BaseException:
            step.terminate()
            raise
    return Answers.parse(output, errors)


def _require_shared(answers: Answers, allocation: Allocation, layout: RunLayout) -> None:
    """Check that all nodes see the same run folder.

    Raises:
        UserError: They do not: results of those nodes would be lost.
    """
    blind = [name for name, state in answers.state_by_node.items() if state == UNSHARED]
    if blind:
        is_work_folder = WorkNote.load(layout.root) is not None
        what, remedy = (
            ("the work folder ", "name one with cluster.work_folder")
            if is_work_folder
            else ("path_to_output=", "use a folder")
        )
        raise UserError(
            f"{what}{layout.root} is not shared by the nodes of the job: {', '.join(sorted(blind))} cannot read what "
            f"{allocation.own_node} writes there; {remedy} on a shared file system, or use one node (-N 1)"
        )


@contextmanager
def _proof(layout: RunLayout, job_id: int) -> Iterator[tuple[Path, str]]:
    """A file that proves the folder shared: only who sees this very file knows what is in it."""
    path, secret = layout.root / f".shared-{job_id}-{secrets.token_hex(4)}", secrets.token_hex(16)
    path.write_text(secret, "ascii")
    try:
        yield path, secret
    finally:
        path.unlink(missing_ok=True)


def _said(answers: Answers) -> str:
    return "; ".join(answers.words[-3:]) or "no answer"
