"""Do the unit tests notice when the code is wrong? `make mutants`, or with other options:

    python -m benchmarks.mutants --seed 1 --sample 15 --module ray_downloader/politeness

Draws mutants of each module, runs the unit tests that concern the module against each, in copies of the checkout on
all cores, and prints how many were killed and which survived. The exit code is 1 where a module misses the goal.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.mutants.mutations import Change, mutants_of
from benchmarks.mutants.report import GOAL, Judged, entries, measured, rows_of, survivors, table
from benchmarks.mutants.running import ModuleRun, copy_of, import_libraries, move_into, run_module
from benchmarks.mutants.targets import Tree

CHECKOUT = Path(__file__).parents[2]
EQUIVALENTS = Path(__file__).with_name("equivalents.yaml")
_trees: list[Tree] = []


def draw(root: Path, module: str, seed: int, sample: int | None) -> list[Change]:
    """Some mutants of a module, the same for the same seed; all of them without a number."""
    changes = mutants_of((root / module).read_text("utf-8"))
    if sample is None or sample >= len(changes):
        return changes
    drawn = set(random.Random(f"{seed}:{module}").sample(range(len(changes)), sample))
    return [change for number, change in enumerate(changes) if number in drawn]


def equivalents() -> set[tuple[str, str, str]]:
    """File, function and description of the mutants that were found to change nothing."""
    entries = yaml.safe_load(EQUIVALENTS.read_text("utf-8"))
    return {(entry["file"], entry["function"], entry["description"]) for entry in entries}


@dataclass(frozen=True, slots=True)
class Task:
    """The mutants of a module that one process tries: every `parts`-th of those that are drawn, from number `part`."""

    module: str
    seed: int
    sample: int | None
    part: int
    parts: int


def judge(task: Task) -> tuple[list[Judged], ModuleRun]:
    """Draw and try mutants of one module."""
    module = task.module
    known = equivalents()
    changes = draw(_trees[0].root, module, task.seed, task.sample)[task.part :: task.parts]
    open_questions = [change for change in changes if (module, change.function, change.description) not in known]
    run = run_module(_trees[0], module, [change.mutant() for change in open_questions])
    outcomes = dict(zip(map(id, open_questions), run.outcomes, strict=False))
    judged: list[Judged] = []
    for change in changes:
        mutant, outcome = change.mutant(), outcomes.get(id(change))
        verdict, seconds = (outcome.verdict, outcome.seconds) if outcome else ("equivalent", 0.0)
        judged.append(Judged(module, mutant.function, mutant.description, mutant.line, verdict, seconds, mutant.diff))
    return judged, run


def judge_all(modules: Sequence[str], seed: int, sample: int | None) -> tuple[list[Judged], list[str]]:
    """The mutants of all modules, in their order; progress goes to stderr.

    Returns:
        The mutants, and what was said of modules whose tests fail without any: of these nothing is known.
    """
    broken: list[str] = []
    found: dict[str, list[Judged]] = {}
    parts = max(1, (os.cpu_count() or 1) // len(modules))
    tasks = [Task(module, seed, sample, part, parts) for module in modules for part in range(parts)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        first = copy_of(CHECKOUT, Path(folder, "first"))
        context = multiprocessing.get_context("fork")
        with context.Pool(os.cpu_count(), _move, (first,)) as pool:
            for judged, run in pool.imap_unordered(judge, tasks):
                if run.broken:
                    broken.append(f"{run.tests} fail without a mutant:\n{run.broken[-3000:]}")
                    print(broken[-1], file=sys.stderr, flush=True)
                    continue
                for name in {mutant.module for mutant in judged}:
                    found.setdefault(name, []).extend(judged)
                    print(_progress(name, judged, run), file=sys.stderr, flush=True)
    return [mutant for module in modules for mutant in found.get(module, ())], broken


def _move(first: Path) -> None:
    """Give a process of the pool its own copy."""
    own = shutil.copytree(first, first.with_name(str(os.getpid())))
    move_into(own, CHECKOUT)
    import_libraries()
    _trees.append(Tree(own))


def _progress(module: str, judged: Sequence[Judged], run: ModuleRun) -> str:
    alive = sum(mutant.verdict == "survived" for mutant in judged)
    seconds = sum(mutant.seconds for mutant in judged)
    return f"{module}: {alive} of {len(judged)} survive {len(run.tests)} test files ({seconds:.0f} s)"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="draws other mutants (default: 1)")
    parser.add_argument("--sample", type=int, default=8, help="mutants of each module (default: 8; 0: all)")
    parser.add_argument("--module", action="append", default=[], metavar="PATH", help="only files whose path begins so")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep counts and survivors of these modules there, too"
    )
    arguments = parser.parse_args()
    chosen = tuple(arguments.module) or ("",)
    modules = [module for module in Tree(CHECKOUT).modules() if module.startswith(chosen)]
    if not modules:
        parser.error(f"no file of the rooms begins with {', '.join(chosen)}")
    started_s = time.monotonic()
    judged, broken = judge_all(modules, arguments.seed, arguments.sample or None)
    rows = rows_of(judged)
    seconds = time.monotonic() - started_s
    print(survivors(judged))
    print(table(rows))
    print("\n".join(broken))
    print(f"\nseed {arguments.seed}, {arguments.sample or 'all'} mutants of each module, {seconds:.0f} s")
    if arguments.json:
        before = json.loads(arguments.json.read_text("utf-8")) if arguments.json.exists() else {}
        kept = {**before, **entries(judged, arguments.seed)}
        kept = {module: kept[module] for module in sorted(kept) if (CHECKOUT / module).exists()}
        arguments.json.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        print(f"\n{measured(kept)}")
    return int(bool(broken) or any(row.share < GOAL for row in rows))


if __name__ == "__main__":
    sys.exit(main())
