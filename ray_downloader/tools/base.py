"""What a tool is: work that is cut into units, and a last step that sees all of it.

The engine runs each unit once, on Ray. A unit writes its files and then its marker, so a killed tool continues where it
stopped. To add a tool, register a subclass of `Tool` in a new file in `builtin/`, or in a module of your own that
`tools_parameters.modules` names.
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
from ray_downloader.run_folder.markers import read_marker, write_marker
from ray_downloader.run_folder.small_json import parse_object
from ray_downloader.tools.context import StoredBatch, ToolContext, fingerprint


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work that one task does.

    Args:
        folder: Where it writes; nothing else writes there.
        batches: What it reads.
        stamp: Identifies what it reads and how. It is done again if the marker of an earlier run has another stamp.
        payload: What else its function needs.
    """

    folder: Path
    batches: tuple[StoredBatch, ...]
    stamp: str
    payload: Any = None

    def counts(self) -> Counter[str] | None:
        """What the unit counted; None if it is not done."""
        text = read_marker(self.folder)
        if text is None:
            return None
        try:
            marker = parse_object(text)
            return Counter(marker["counts"]) if marker["stamp"] == self.stamp else None
        except (ValueError, KeyError, TypeError):
            return None  # a damaged marker: the unit is done again

    def complete(self, counts: Mapping[str, int]) -> None:
        """Write the marker, last."""
        write_marker(self.folder, json.dumps({"stamp": self.stamp, "counts": counts}) + "\n")


#: Does one unit, in a task of its own. Its counts are added to the summary.
UnitFunction = Callable[[Unit], Counter[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """Units, and the function that does each. It is pickled, so it is a module-level function or a `partial` of one."""

    function: UnitFunction
    units: Sequence[Unit]


class Tool(ABC):
    """One tool on one run. The engine calls `work`, `finish` and `staged`, in this order."""

    def __init__(self, context: ToolContext) -> None:
        self.context = context

    def work(self) -> Step | None:
        """The work on each image; None for a tool that only reads columns."""
        return None

    @abstractmethod
    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Write the results that need all units, and return the summary.

        Args:
            counts: The sum of what the units of `work` counted.
        """

    def staged(self) -> Step | None:
        """The work for `apply=true`. Afterwards `images/` in the tool's folder has the batches that replace the run's.

        Raises:
            UserError: The tool does not change images.
        """
        raise UserError(f"tool={self.context.name} changes no images, so tools_parameters.apply has nothing to publish")


#: Makes a tool for one run.
ToolFactory = Callable[[ToolContext], Tool]

TOOLS: Registry[ToolFactory] = Registry("tool", "ray_downloader.tools.builtin")


def unit_of_each_batch(context: ToolContext, results: str, parameters: Mapping[str, object]) -> list[Unit]:
    """One unit per finished batch, in the folder `<tool>/<results>/server_name=.../partition_id=...`.

    Args:
        results: Name of the folder.
        parameters: What the result depends on, apart from the images.
    """
    suffix = fingerprint(parameters)
    return [
        Unit(context.folder / results / batch.place, (batch,), f"{batch.stamp}-{suffix}") for batch in context.batches
    ]
