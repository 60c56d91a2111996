"""What became of the mutants, as a table, a list of survivors and JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: Of each module: the seed, the counts, and the survivors.
Kept = dict[str, dict[str, Any]]
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

    @classmethod
    def sum_of(cls, name: str, rows: Iterable[Row]) -> Row:
        """The counts of several together."""
        counts = zip(*((row.mutants, row.killed, row.survived, row.equivalent) for row in rows), strict=True)
        return cls(name, *map(sum, counts))

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


def entries(judged: Sequence[Judged], seed: int) -> Kept:
    """What is kept of a run, by module; without the diffs, which are long and drawn again by the seed."""
    return {
        row.name: {
            "seed": seed,
            **{name: count for name, count in asdict(row).items() if name != "name"},
            "survivors": [
                {"line": mutant.line, "function": mutant.function, "description": mutant.description}
                for mutant in judged
                if mutant.module == row.name and mutant.verdict == "survived"
            ],
        }
        for row in rows_of(judged)[:-1]
    }


def measured(kept: Kept) -> str:
    """The latest state of every module as two tables in Markdown, by room and by module."""
    rows = {
        name: Row(
            name.partition("/")[2], *(entry[column] for column in ("mutants", "killed", "survived", "equivalent"))
        )
        for name, entry in sorted(kept.items())
    }
    rooms: dict[str, list[Row]] = {}
    for row in rows.values():
        rooms.setdefault(row.name.partition("/")[0], []).append(row)
    sums = [Row.sum_of(f"{room} ({len(of)} modules)", of) for room, of in rooms.items()]
    by_room = table([*sums, Row.sum_of(f"**all** ({len(rows)} modules)", rows.values())])
    lines = [f"{row.line()} {kept[name]['seed']} |" for name, row in rows.items()]
    head = "| module | mutants | killed | survived | equivalent | killed of the rest | seed |"
    return "\n".join([by_room, "", head, "|---|---:|---:|---:|---:|---:|---:|", *lines])
