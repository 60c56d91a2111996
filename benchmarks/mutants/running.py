"""Runs the tests of a module against its mutants: one warm process for each module, one fork of it for each mutant.

The warm process has imported pytest, the heavy libraries and those of our modules that do not depend on the changed
one; a fork finds the mutant's source in a copy of the checkout, so subprocesses that a test starts see it too. All
other files, and the checkout itself, are never written.
"""

from __future__ import annotations

import compileall
import contextlib
import ctypes
import importlib
import json
import os
import py_compile
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

from benchmarks.mutants.mutations import Mutant
from benchmarks.mutants.targets import Tree, name_of

#: A mutant is killed as hanging after this many times what the tests took without it, and this much more.
SLOWER = 3.0
GRACE_S = 3.0
PR_SET_PDEATHSIG = 1
#: Of address space; a mutant that eats memory dies of it alone.
MEMORY_BYTES = 12 * 1024**3
LIBRARIES = (
    "pytest", "_pytest.assertion.rewrite", "_pytest.tmpdir", "_pytest.monkeypatch", "_pytest.doctest",
    "_pytest.unittest", "_pytest.capture", "_pytest.junitxml", "_pytest.logging", "_pytest.skipping",
    "hypothesis", "hypothesis.strategies", "numpy", "pyarrow", "pyarrow.parquet", "pyarrow.ipc", "pyarrow.compute",
    "duckdb", "cv2", "PIL.Image", "pycurl", "requests", "pydantic", "yaml", "omegaconf", "protego", "ada_url",
    "rich.console", "psutil", "filelock", "zoneinfo",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant.

    Args:
        verdict: `killed` or `survived`.
        seconds: Of the tests.
    """

    verdict: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ModuleRun:
    """What became of a module's mutants.

    Args:
        tests: The test files.
        outcomes: In the order of the mutants.
        broken: What the tests printed when they failed without a mutant; then nothing else is known.
    """

    tests: list[str]
    outcomes: list[Outcome]
    broken: str = ""


def copy_of(checkout: Path, folder: Path) -> Path:
    """A copy of the files that git knows (and new ones it does not ignore), compiled; returns its path."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=checkout, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (checkout / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / name, folder / name)
    for part in ("ray_downloader", "tests", "benchmarks"):
        # By hash of the source, as the time stamps of a mutant and its original can be alike.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(folder / part, quiet=1, invalidation_mode=mode)
    return folder


def move_into(tree: Path, checkout: Path) -> None:
    """Make this process import from a copy, and its children too."""
    os.chdir(tree)
    elsewhere = {str(checkout), "", "."}
    sys.path[:] = [str(tree), *(path for path in sys.path if path not in elsewhere)]
    os.environ.update(PYTHONPATH=str(tree), PYTHONDONTWRITEBYTECODE="1", RAY_USAGE_STATS_ENABLED="0")
    sys.dont_write_bytecode = True


def import_libraries() -> None:
    """Import what all tests share; what is not installed or not part of a version is left to them."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import hypothesis  # noqa: PLC0415 (only this process tree needs it)

    # Neither chance nor an earlier mutant decides, and a failure need not be made small.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", database=None, derandomize=True, phases=phases, deadline=None)
    hypothesis.settings.load_profile("mutants")


def run_module(tree: Tree, module: str, mutants: Sequence[Mutant]) -> ModuleRun:
    """Run the tests of a module against each mutant, in a process of their own that this one waits for."""
    report = tree.root.with_name(f"{tree.root.name}.json")
    if _in_fork(lambda: _warm(tree, module, mutants, report), None):
        raise RuntimeError(f"{module}: the process that runs its mutants ended early")
    found = json.loads(report.read_text("utf-8"))
    outcomes = [Outcome(**outcome) for outcome in found.pop("outcomes")]
    return ModuleRun(outcomes=outcomes, **found)


def _warm(tree: Tree, module: str, mutants: Sequence[Mutant], report: Path) -> int:
    groups = tree.tests_of(module)
    tests = [path for group in groups for path in group]
    for name in tree.independent_of(module, tests):
        importlib.import_module(name)
    if name_of(module) in sys.modules:
        raise RuntimeError(f"{module} was imported before its mutants")
    output = tree.root.with_name(f"{tree.root.name}.txt")
    tried = [_Group(group, output) for group in groups]
    outcomes: list[Outcome] = []
    broken = ""
    try:
        for mutant in mutants:
            outcomes.append(_outcome(tree.root / module, mutant, tried))
            _tell(module, mutant, outcomes[-1])
    except _BrokenTestsError as error:
        broken = str(error)
    report.write_text(json.dumps(asdict(ModuleRun(tests, [] if broken else outcomes, broken))), "utf-8")
    return 0


def _tell(module: str, mutant: Mutant, outcome: Outcome) -> None:
    """At once: a run that is stopped early has not been in vain."""
    told = f"{outcome.verdict:8} {outcome.seconds:4.0f} s  {module}:{mutant.line} {mutant.function}: "
    print(told + mutant.description, file=sys.stderr, flush=True)


class _BrokenTestsError(Exception):
    """Tests fail without a mutant; the message is what they printed."""


class _Group:
    """Tests that are run together. How long they may take is found out when they are first needed."""

    def __init__(self, tests: Sequence[str], output: Path) -> None:
        self._tests = tests
        self._output = output

    @cached_property
    def limit_s(self) -> float:
        """More than this and a mutant hangs."""
        started_s = time.monotonic()
        if _in_fork(partial(_baseline, self._tests, self._output), None):
            raise _BrokenTestsError(self._output.read_text("utf-8", "replace"))
        return GRACE_S + SLOWER * (time.monotonic() - started_s)

    def notice(self) -> bool:
        """Whether a test fails or hangs."""
        return bool(_in_fork(partial(_pytest, self._tests, self._output), self.limit_s))


def _outcome(path: Path, mutant: Mutant, groups: Sequence[_Group]) -> Outcome:
    original = path.read_bytes()
    started_s = time.monotonic()
    for group in groups:
        _ = group.limit_s  # of the module as it is
        path.write_text(mutant.source, "utf-8")
        try:
            is_noticed = group.notice()
        finally:
            path.write_bytes(original)
        if is_noticed:
            return Outcome("killed", round(time.monotonic() - started_s, 2))
    return Outcome("survived", round(time.monotonic() - started_s, 2))


def _baseline(tests: Sequence[str], output: Path) -> int:
    """Run the tests without a mutant, and let pytest keep what it made of their `assert`s for the runs with one."""
    sys.dont_write_bytecode = False
    return _pytest(tests, output)


def _pytest(tests: Sequence[str], output: Path) -> int:
    """Run tests in this process, the output in a file."""
    import pytest  # noqa: PLC0415 (imported before the fork)

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    scratch = output.with_suffix(".tmp")
    quick = ("-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={scratch}")
    warm = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # of plugins that are imported already
    return int(pytest.main([*quick, *warm, *tests]))


def _in_fork(act: Callable[[], int], limit_s: float | None) -> int:
    """Run `act` in a fork, with all that it starts; its exit code, or 1 where it crashed or took too long."""
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setpgid(0, 0)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # it does not outlive who waits for it
            code = act()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            sys.stdout.flush()
            os._exit(code)
    try:
        return _waited(child, limit_s)
    finally:
        with contextlib.suppress(ProcessLookupError):  # also what it left behind
            os.killpg(child, signal.SIGKILL)


def _waited(child: int, limit_s: float | None) -> int:
    descriptor = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([descriptor], [], [], limit_s)
        if not ready:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(status) if ready else 1
