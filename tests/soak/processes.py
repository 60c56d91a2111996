"""The processes of a run: what they use over time, and what is done to them."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """The run's processes at one time; `at_s` counts from the start."""

    at_s: float
    processes: int
    driver_mb: float
    workers_mb: float
    decoders_mb: float
    ray_mb: float
    descriptors: int


def of_run(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The driver and everything that it started."""
    try:
        parent = psutil.Process(driver.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def role_of(process: psutil.Process, driver: int) -> str:
    """`driver`, `worker` (a time slice), `decoder`, or `ray` for the rest."""
    if process.pid == driver:
        return "driver"
    title = " ".join(process.cmdline())
    if "decoder_main" in title:
        return "decoder"
    return "worker" if title.startswith("ray::") and "Budget" not in title and "Agent" not in title else "ray"


def sample(driver: subprocess.Popen[bytes], at_s: float) -> Sample:
    """What they use now."""
    used = dict.fromkeys(("driver", "worker", "decoder", "ray"), 0.0)
    count = descriptors = 0
    for process in of_run(driver):
        try:
            used[role_of(process, driver.pid)] += process.memory_info().rss / 2**20
            descriptors += process.num_fds()
            count += 1
        except psutil.Error:
            continue
    return Sample(at_s, count, used["driver"], used["worker"], used["decoder"], used["ray"], descriptors)


def kill_all(driver: subprocess.Popen[bytes]) -> None:
    """SIGKILL to every process of the run, as a machine that loses power."""
    for process in of_run(driver):
        _send(process, signal.SIGKILL)
    driver.wait()


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


def _one(
    driver: subprocess.Popen[bytes], rng: random.Random, wanted: Callable[[str, str], bool]
) -> psutil.Process | None:
    found = []
    for process in of_run(driver):
        try:
            if wanted(role_of(process, driver.pid), " ".join(process.cmdline())):
                found.append(process)
        except psutil.Error:
            continue
    return rng.choice(found) if found else None


def kill_worker(driver: subprocess.Popen[bytes], rng: random.Random) -> None:
    """SIGKILL to a worker."""
    if process := _one(driver, rng, lambda role, _: role == "worker"):
        _send(process, signal.SIGKILL)


def kill_actor(driver: subprocess.Popen[bytes], rng: random.Random) -> None:
    """SIGKILL to a budget actor."""
    if process := _one(driver, rng, lambda _, title: "Budget" in title):
        _send(process, signal.SIGKILL)


def stop_worker(driver: subprocess.Popen[bytes], rng: random.Random) -> None:
    """SIGSTOP to a worker for some seconds."""
    if process := _one(driver, rng, lambda role, _: role == "worker"):
        _send(process, signal.SIGSTOP)
        time.sleep(rng.uniform(1, 4))
        _send(process, signal.SIGCONT)


def drain(driver: subprocess.Popen[bytes], _: random.Random) -> None:
    """SIGTERM to the driver, and wait until it has drained."""
    driver.send_signal(signal.SIGTERM)
    driver.wait(timeout=120)


def lose_power(driver: subprocess.Popen[bytes], _: random.Random) -> None:
    """SIGKILL to everything."""
    kill_all(driver)


FAULTS = {one.__name__: one for one in (kill_worker, kill_actor, stop_worker, drain, lose_power)}
