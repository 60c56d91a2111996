"""One node's part in the Ray step: `srun` starts this on every node. It starts Ray there, and ends with it.

Task 0 is the head; the others wait for it and join. It ends on a signal, or when its standard input closes, which
`srun` forwards from the driver. It leaves neither a Ray process nor a scratch folder. It does not use `ray stop`, which
would stop every Ray of the user on the node.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from ray_downloader.processes import end_by_signal
from ray_downloader.slurm.addresses import address_of_interface, host_of, is_listening, own_address_towards
from ray_downloader.slurm.commands import ENDED, NodePlan, ray_start, scratch_of
from ray_downloader.slurm.job_facts import is_over
from ray_downloader.slurm.node_memory import memory_sentence
from ray_downloader.slurm.ray_words import DEATH, dead_process, death_sentence, plain

#: Only small objects pass through Ray (names of batches, and reports), so its object store can be small.
OBJECT_STORE_BYTES = 80 * 1024 * 1024
#: Between SIGTERM and SIGKILL, Slurm gives a cancelled step KillWait (30 s by default, at least 5 s).
PATIENCE_S = 3.0
#: What Ray printed before its end is read within this time; what it leaves running may keep the pipe open.
LAST_WORDS_S = 1.0
_KEPT_LINES = 400


def main(plan_json: str) -> int:
    """Run Ray on this node until it ends or this process is stopped.

    Returns:
        0 if it was stopped, otherwise 1.
    """
    plan = NodePlan.from_json(plan_json)
    node, job_id = int(os.environ["SLURM_PROCID"]), os.environ["SLURM_JOB_ID"]
    scratch = Path(scratch_of(plan.scratch, int(job_id), node))
    was_stopped = False
    try:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, _end)
        Thread(target=_end_with_input, daemon=True).start()
        try:
            _run_ray(plan, node, scratch)
        except OSError as error:
            _say(f"Ray cannot run here: {error}")
        _say(ENDED)
    except _EndError as end:
        was_stopped = True
        if not _input_is_closed.is_set():
            _say(f"{DEATH} it was stopped on {plan.names[node]} by {end}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if was_stopped or node == plan.head:
            Path(os.environ["RAY_AUTH_TOKEN_PATH"]).unlink(missing_ok=True)
    return 0 if was_stopped else 1


class _EndError(Exception):
    """A signal, or the end of standard input, stops this process."""


#: Tells the driver's wish from a signal of Slurm's.
_input_is_closed = Event()


def _end(number: int, _frame: object) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)  # the rest is cleaning up
    raise _EndError(signal.Signals(number).name)


def _end_with_input() -> None:
    """The driver has the other end: however it ends, the nodes end too."""
    while os.read(0, 4096):
        pass
    _input_is_closed.set()
    os.kill(os.getpid(), signal.SIGTERM)


def _run_ray(plan: NodePlan, node: int, scratch: Path) -> None:
    """Start Ray and wait until it ends by itself."""
    head = host_of(plan.head_address)
    if node != plan.head and not _within(plan.start_timeout_s, lambda: is_listening(plan.head_address)):
        _say(f"no Ray head listened at {plan.head_address} within {plan.start_timeout_s:g} s")
        return
    _remove_leftovers(scratch)
    scratch.mkdir(mode=0o700, parents=True)
    temporary = scratch / "ray"  # Ray opens its own folder to everybody
    address = head if node == plan.head else _own_address(plan, head)
    command = ray_start(plan, node, address, temporary, OBJECT_STORE_BYTES)
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            follower = Thread(target=_follow, args=(process, lines), daemon=True)
            follower.start()
            process.wait()
            follower.join(LAST_WORDS_S)  # its last lines name what died
        finally:
            end_by_signal(process, PATIENCE_S)  # `ray start --block` stops its children on SIGTERM
    _show_reasons(temporary)
    dead = dead_process(lines)
    _say(death_sentence(plan.names[node], dead, process.returncode, memory_sentence(dead[0] if dead else "")))


def _remove_leftovers(scratch: Path) -> None:
    """Remove the folders of this job's previous run, and of our jobs that ended when this node lost power."""
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in scratch.parent.glob("rd-*-*"):
        job = folder.name.split("-")[1]
        if job.isdigit() and folder.stat().st_uid == os.getuid() and is_over(job):
            shutil.rmtree(folder, ignore_errors=True)


def _follow(process: subprocess.Popen[str], lines: deque[str]) -> None:
    """Copy what Ray prints, without its banners."""
    assert process.stdout is not None
    for raw in process.stdout:
        line = plain(raw)
        if line is not None:
            lines.append(line)
            _say(line)


def _own_address(plan: NodePlan, head: str) -> str:
    return address_of_interface(plan.interface) if plan.interface else own_address_towards(head)


def _show_reasons(scratch: Path) -> None:
    """Copy the last lines of Ray's processes into this node's log, as the scratch folder will be removed."""
    for path in sorted(scratch.glob("session_latest/logs/*")):
        if path.stem in {"gcs_server", "raylet"} and path.suffix in {".out", ".err"}:
            for line in path.read_text("utf-8", "replace").splitlines()[-5:]:
                _say(f"{path.name}: {line}")


def _within(timeout_s: float, is_true: Callable[[], bool]) -> bool:
    until_s = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.2)
    return True


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
