"""What came from earlier runs (`base=`), for the summary and those who show it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_downloader.run_folder.base_runs import LINKED, NOT_MODIFIED, BasePlan


def base_figures(plan: BasePlan, reused: Mapping[str, int], vanished_file: str) -> dict[str, Any]:
    """Figures for `summary.json`.

    Args:
        plan: What was found in the earlier runs.
        reused: Stored images of theirs, by how they came here.
        vanished_file: Where the rows are listed that the list does not have any more.
    """
    return {
        "runs": list(plan.runs),
        LINKED: reused.get(LINKED, 0),
        NOT_MODIFIED: reused.get(NOT_MODIFIED, 0),
        "vanished": plan.vanished,
        "vanished_file": vanished_file if plan.vanished else None,
    }


def base_sentence(base: Mapping[str, Any]) -> str:
    """The same in words."""
    gone = f"; {base['vanished']} of their rows are not in the list any more ({base['vanished_file']})"
    taken = f"{base[LINKED]} images taken without a request, {base[NOT_MODIFIED]} not modified (304)"
    return taken + (gone if base["vanished"] else "")
