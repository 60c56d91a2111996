"""What a tool is: work that is cut into units, and an end that looks at all of it.

The engine runs units on Ray, each once: a unit writes its files and then its marker, so a killed tool continues where
it stopped. To add a tool, add one file to `builtin/` (or name a module of your own in `tools_parameters.modules`)
that registers a subclass of `Tool`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_downloader.errors import UserError
from ray_downloader.registry import Registry
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import COMPLETED
from ray_downloader.tools.context import StoredBatch, ToolContext, fingerprint


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work that one task does.

    Args:
        folder: Where its files go; nothing else writes there.
        batches: What it reads.
        stamp: Names what it reads and how; where the marker of an earlier run holds another one, it is done again.
        payload: What else its function is told.
    """

    folder: Path
    batches: tuple[StoredBatch, ...]
    stamp: str
    payload: Any = None

    def counts(self) -> Counter[str] | None:
        """What the unit counted; None where it is not done."""
        try:
            marker = json.loads((self.folder / COMPLETED).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return Counter(marker["counts"]) if marker["stamp"] == self.stamp else None

    def complete(self, counts: Mapping[str, int]) -> None:
        """Write the marker, last."""
        write_text(self.folder / COMPLETED, json.dumps({"stamp": self.stamp, "counts": counts}) + "\n")


#: Does one unit, in a task of its own; what it counts goes into the summary.
UnitFunction = Callable[[Unit], Counter[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """Units, and the function that does each. The function is pickled, so it is a module's or a `partial` of one."""

    function: UnitFunction
    units: Sequence[Unit]


class Tool(ABC):
    """One tool on one run; `work`, `finish` and `staged` are called in this order."""

    def __init__(self, context: ToolContext) -> None:
        self.context = context

    def work(self) -> Step | None:
        """What is to be done image by image; None for a tool that reads columns only."""
        return None

    @abstractmethod
    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Write the results that need all units, and return the summary.

        Args:
            counts: The sum over all units of `work`.
        """

    def staged(self) -> Step | None:
        """What is to be done for `apply=true`: afterwards `images/` of the tool's folder holds what replaces batches.

        Raises:
            UserError: The tool changes no images.
        """
        raise UserError(f"tool={self.context.name} changes no images, so tools_parameters.apply has nothing to publish")


#: Makes a tool for a run.
ToolFactory = Callable[[ToolContext], Tool]

TOOLS: Registry[ToolFactory] = Registry("tool", "ray_downloader.tools.builtin")


def unit_of_each_batch(context: ToolContext, results: str, parameters: Mapping[str, object]) -> list[Unit]:
    """One unit a finished batch, with the folder `<tool>/<results>/server_name=.../partition_id=...`.

    Args:
        results: Name of the folder.
        parameters: What the result depends on besides the images.
    """
    suffix = fingerprint(parameters)
    return [
        Unit(context.folder / results / batch.place, (batch,), f"{batch.stamp}-{suffix}") for batch in context.batches
    ]
