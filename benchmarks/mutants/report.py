"""What became of the mutants, as a table, a list of survivors and JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: The share of non-equivalent mutants that each module is to kill.
GOAL = 0.9


@dataclass(frozen=True, slots=True)
class Judged:
    """One mutant and what became of it; `verdict` is `killed`, `survived` or `equivalent`."""

    module: str
    function: str
    description: str
    line: int
    verdict: str
    seconds: float
    diff: str


@dataclass(frozen=True, slots=True)
class Row:
    """The counts of a module, or of all."""

    name: str
    mutants: int
    killed: int
    survived: int
    equivalent: int

    @classmethod
    def of(cls, name: str, judged: Iterable[Judged]) -> Row:
        """Count."""
        verdicts = [mutant.verdict for mutant in judged]
        counts = (verdicts.count(verdict) for verdict in ("killed", "survived", "equivalent"))
        return cls(name, len(verdicts), *counts)

    @property
    def share(self) -> float:
        """Killed mutants, of those that can be; 1 where there is none."""
        return self.killed / (self.killed + self.survived) if self.killed + self.survived else 1.0

    def line(self) -> str:
        """As a row of the table."""
        cells = (self.name, self.mutants, self.killed, self.survived, self.equivalent, f"{self.share:.0%}")
        return "| " + " | ".join(map(str, cells)) + " |"


def rows_of(judged: Sequence[Judged]) -> list[Row]:
    """A row for each module in the order in which they come, and one for all."""
    modules = dict.fromkeys(mutant.module for mutant in judged)
    rows = [Row.of(module, (mutant for mutant in judged if mutant.module == module)) for module in modules]
    return [*rows, Row.of("**all**", judged)]


def table(rows: Sequence[Row]) -> str:
    """The table, in Markdown."""
    head = "| module | mutants | killed | survived | equivalent | killed of the rest |\n|---|---:|---:|---:|---:|---:|"
    return "\n".join([head, *(row.line() for row in rows)])


def survivors(judged: Iterable[Judged]) -> str:
    """The survivors with their changes, ready to be looked at."""
    parts = [
        f"{mutant.module}:{mutant.line} {mutant.function}: {mutant.description}\n{mutant.diff}\n"
        for mutant in judged
        if mutant.verdict == "survived"
    ]
    return "\n".join(parts)


def as_json(judged: Sequence[Judged], seed: int, sample: int, seconds: float) -> dict[str, Any]:
    """What is kept of a run."""
    left = [mutant for mutant in judged if mutant.verdict == "survived"]
    return {
        "seed": seed,
        "sample": sample,
        "seconds": round(seconds),
        "modules": [{**asdict(row), "share": round(row.share, 3)} for row in rows_of(judged)],
        "survivors": [{name: value for name, value in asdict(mutant).items() if name != "seconds"} for mutant in left],
    }
