"""`apply` and `undo`: a tool's new batches replace the run's, and the run's are restored.

Each file is replaced by one rename, after the old one was linked into `<tool>/applied/`. So every batch is entirely old
or entirely new at any moment, nothing is copied, and the same command finishes an exchange that was killed.
`applied/manifest.json` is written first and the marker `applied/_completed` last. While the folder exists, the exchange
can be undone, also in a copy of the run; deleting it frees the space and makes the result final. An undo notes that it
has begun, so that whatever comes after a kill finishes it first.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ray_downloader.errors import RunFolderError, UserError
from ray_downloader.monitor.summary import load_summary
from ray_downloader.output.batch_folder import BatchFolder, accept_version
from ray_downloader.output.data_card import write_data_card
from ray_downloader.output.stored_file import content_stamp
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from ray_downloader.run_folder.lock import holding_run
from ray_downloader.run_folder.markers import find_marker, read_marker, remove_marker, write_marker
from ray_downloader.run_folder.small_json import parse_object, read_object
from ray_downloader.tools.context import ToolContext, file_stamp

_APPLIED = "applied"
_MANIFEST = "manifest.json"
_UNDOING = "undoing"
#: Name of `applied` once everything is restored, while it is removed.
_UNDONE = ".undone"


def refuse_if_applied(folder: Path) -> None:
    """Refuse a tool whose result is already in place: it would work on its own result.

    Raises:
        UserError: The result is in place.
    """
    if find_marker(folder / _APPLIED):
        raise UserError(
            f"the result of {folder.name} is in place; tools_parameters.undo=true restores the images before it, "
            f"and deleting {folder / _APPLIED} makes it final"
        )


def is_applied(folder: Path, request: str) -> bool:
    """Whether the result of this request (`ToolContext.request`) is in place."""
    applied = folder / _APPLIED
    return find_marker(applied) is not None and _document(applied).get("asked") == request


def is_half_applied(folder: Path) -> bool:
    """Whether an exchange was started and not finished."""
    return (
        not is_half_undone(folder)
        and (folder / _APPLIED / _MANIFEST).exists()
        and find_marker(folder / _APPLIED) is None
    )


def is_half_undone(folder: Path) -> bool:
    """Whether an undo was started and not finished."""
    return (folder / _APPLIED / _UNDOING).exists()


def apply_result(context: ToolContext) -> int:
    """`apply` for a tool, while no run uses the folder.

    Raises:
        FolderBusyError: A run does.
    """
    with holding_run(context.layout.root, context.layout.lock_file):
        batches = apply(context.folder, context.layout.images, context.request)
        _refresh_card(context)
        return batches


def undo_result(context: ToolContext) -> int:
    """`undo` for a tool, while no run uses the folder.

    Raises:
        FolderBusyError: A run does.
        UserError: As `undo`.
    """
    with holding_run(context.layout.root, context.layout.lock_file):
        batches = undo(context.folder, context.layout.images)
        _refresh_card(context)
        return batches


def _refresh_card(context: ToolContext) -> None:
    """Write the card of the run again, as its images have changed."""
    summary = load_summary(context.layout)
    if summary is not None:
        write_data_card(context.layout, context.settings, summary)


def apply(folder: Path, images: Path, request: str = "") -> int:
    """Replace batches of `images` by those of `<folder>/images`.

    Args:
        folder: The tool's folder.
        images: The run's images.
        request: What the result belongs to (`ToolContext.request`).

    Returns:
        The number of batches.

    Raises:
        UserError: A batch was changed after the tool had read it, by another tool or a run.
    """
    applied = folder / _APPLIED
    if not is_half_applied(folder):
        staged = sorted((folder / "images").glob(f"server_name=*/partition_id=*/{SUCCESSES}"))
        places = {str(path.parent.relative_to(folder / "images")): content_stamp(path) for path in staged}
        for place in places:
            if not _is_made_from(folder / "images" / place, images / place / SUCCESSES):
                raise _changed(images / place / SUCCESSES, folder, "run the same command again")
        replaced = {place: content_stamp(images / place / SUCCESSES) for place in places}
        document = {"asked": request, "batches": places, "replaced": replaced}
        write_text(applied / _MANIFEST, json.dumps(document, indent=1) + "\n")
    exchanged = _manifest(applied)
    replaced = _document(applied).get("replaced", {})  # absent if an earlier version began
    for place, stamp in exchanged.items():
        current = images / place / SUCCESSES
        if not _is_version(current, stamp):
            if replaced.get(place, content_stamp(current)) != content_stamp(current):
                raise _changed(current, folder, "undo what changed it, or this tool with tools_parameters.undo=true")
            _exchange(folder / "images" / place / SUCCESSES, current, applied / place / SUCCESSES)
    write_marker(applied, json.dumps({"batches": len(exchanged)}) + "\n")
    return len(exchanged)


def _is_made_from(unit_folder: Path, current: Path) -> bool:
    """Whether a tool's new batch was made from the file that it is to replace; True if nobody says."""
    text = read_marker(unit_folder)
    try:
        return text is None or str(parse_object(text)["stamp"]).startswith(f"{file_stamp(current)}-")
    except (ValueError, KeyError):
        return True


def _changed(path: Path, folder: Path, advice: str) -> UserError:
    return UserError(f"{path} was changed after {folder.name} had read it, so its result would undo that; {advice}")


def undo(folder: Path, images: Path) -> int:
    """Restore the batches that `apply` replaced.

    Returns:
        The number of batches.

    Raises:
        UserError: Nothing was applied, or another tool changed a batch since then.
    """
    applied = folder / _APPLIED
    if not (applied / _MANIFEST).exists():
        raise UserError(f"tools_parameters.undo: no result of {folder.name} is in place")
    places = _manifest(applied)
    saved = {place: stamp for place, stamp in places.items() if (applied / place / SUCCESSES).exists()}
    for place, stamp in saved.items():
        current = images / place / SUCCESSES
        if BatchFolder(current.parent).problem_of(SUCCESSES):
            continue  # it is damaged, so it is nobody's result
        if not _is_version(current, stamp) and content_stamp(current) != content_stamp(applied / place / SUCCESSES):
            raise UserError(f"{current} was changed after {folder.name}; undo the later tool first")
    write_text(applied / _UNDOING, "")
    remove_marker(applied)
    for place in saved:
        (images / place).mkdir(parents=True, exist_ok=True)
        (applied / place / SUCCESSES).replace(images / place / SUCCESSES)
    shutil.rmtree(folder / "images", ignore_errors=True)
    shutil.rmtree(folder / _UNDONE, ignore_errors=True)
    applied.rename(folder / _UNDONE)
    shutil.rmtree(folder / _UNDONE)
    return len(places)


def applied_folders(tools: Path) -> list[Path]:
    """The folders that keep the images which results of tools replaced."""
    return sorted(marker.parent for marker in tools.glob(f"*/{_APPLIED}/{_MANIFEST}"))


def applied_tools(tools: Path) -> list[str]:
    """Names of the tools whose results have replaced downloaded images."""
    return [folder.parent.name for folder in applied_folders(tools)]


def refuse_damaged_results(layout: RunLayout, damaged: Mapping[Path, Sequence[str]]) -> None:
    """Refuse a run while results of tools are damaged: rows that the tools have dropped would be fetched again.

    Args:
        layout: The run.
        damaged: What is known to be wrong with batches, in sentences.

    Raises:
        RunFolderError: A batch whose images a tool replaced is not as it was written.
    """
    for folder, tool in replaced_batches(layout).items():
        for problem in damaged.get(folder) or _problems_of(folder):
            raise RunFolderError(
                f"{problem}; its images are the result of {tool}: restore those before it with the tool {tool} and "
                "tools_parameters.undo=true; then the same command fetches what is lost, and the tool can run again"
            )


def _problems_of(folder: Path) -> list[str]:
    return [f"{folder} is not finished"] if find_marker(folder) is None else BatchFolder(folder).problems()


def replaced_batches(layout: RunLayout) -> dict[Path, str]:
    """The folders of batches whose images are the result of tools, with the name of the tool."""
    folders = applied_folders(layout.tools)
    return {layout.images / place: folder.parent.name for folder in folders for place in _manifest(folder)}


def _exchange(new: Path, current: Path, saved: Path) -> None:
    saved.parent.mkdir(parents=True, exist_ok=True)
    if not saved.exists():
        os.link(current, saved)
    with pq.ParquetFile(new) as file:
        rows = file.metadata.num_rows
    accept_version(current.parent, current.name, new, rows)
    new.replace(current)


def _is_version(path: Path, stamp: str) -> bool:
    """Whether a file is the one that a manifest names; those of earlier versions name its time."""
    return stamp in {content_stamp(path), file_stamp(path)}


def _manifest(applied: Path) -> Mapping[str, str]:
    batches: dict[str, str] = _document(applied)["batches"]
    return batches


def _document(applied: Path) -> dict[str, Any]:
    path = applied / _MANIFEST
    try:
        document = read_object(path)
        _ = document["batches"].items(), document.get("replaced", {}).items()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RunFolderError(
            f"{path} is damaged; the images before {applied.parent.name} are in {applied}: move each back to its place "
            f"below images/ to undo, or delete {applied} to make the result final"
        ) from None
    return document
