"""`apply` and `undo`: a tool's new batches take the place of the run's, and the run's come back.

Each file is exchanged by one rename, after the old one got a second name below `<tool>/applied/`. So at every moment
each batch is wholly old or wholly new, nothing is copied, and a killed exchange is finished by the same command.
`applied/manifest.json` comes first and the marker `applied/completed` last; while the folder is there, the exchange can
be undone. Whoever needs the space and is sure deletes the folder `applied/`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import COMPLETED, SUCCESSES

_APPLIED = "applied"
_MANIFEST = "manifest.json"


def refuse_if_applied(folder: Path) -> None:
    """A tool whose result is in place already would judge its own result.

    Raises:
        UserError: It is.
    """
    if (folder / _APPLIED / COMPLETED).exists():
        raise UserError(
            f"the result of {folder.name} is in place; tools_parameters.undo=true brings the images before it back, "
            f"and deleting {folder / _APPLIED} makes it final"
        )


def is_applied(folder: Path, asked: str) -> bool:
    """Whether the result that is asked for (`ToolContext.asked`) is in place."""
    applied = folder / _APPLIED
    return (applied / COMPLETED).exists() and _document(applied).get("asked") == asked


def is_half_applied(folder: Path) -> bool:
    """Whether an exchange was begun and not finished."""
    return (folder / _APPLIED / _MANIFEST).exists() and not (folder / _APPLIED / COMPLETED).exists()


def apply(folder: Path, images: Path, asked: str = "") -> int:
    """Put the batches of `<folder>/images` in the place of those of `images`; how many they are.

    Args:
        folder: The tool's.
        images: The run's images.
        asked: Names what the result is the answer to (`ToolContext.asked`).

    Raises:
        UserError: A batch changed since the tool read it.
    """
    applied = folder / _APPLIED
    if not is_half_applied(folder):
        staged = sorted((folder / "images").glob(f"server_name=*/partition_id=*/{SUCCESSES}"))
        places = {str(path.parent.relative_to(folder / "images")): _stamp(path) for path in staged}
        write_text(applied / _MANIFEST, json.dumps({"asked": asked, "batches": places}, indent=1) + "\n")
    exchanged = _manifest(applied)
    for place, stamp in exchanged.items():
        if _stamp(images / place / SUCCESSES) != stamp:
            _exchange(folder / "images" / place / SUCCESSES, images / place / SUCCESSES, applied / place / SUCCESSES)
    write_text(applied / COMPLETED, json.dumps({"batches": len(exchanged)}) + "\n")
    return len(exchanged)


def undo(folder: Path, images: Path) -> int:
    """Put the batches back that `apply` replaced; how many they are.

    Raises:
        UserError: Nothing was applied, or another tool changed a batch since.
    """
    applied = folder / _APPLIED
    if not (applied / _MANIFEST).exists():
        raise UserError(f"tools_parameters.undo: no result of {folder.name} is in place")
    places = _manifest(applied)
    saved = {place: stamp for place, stamp in places.items() if (applied / place / SUCCESSES).exists()}
    for place, stamp in saved.items():
        current = images / place / SUCCESSES
        if _stamp(current) != stamp and not current.samefile(applied / place / SUCCESSES):
            raise UserError(f"{current} was changed after {folder.name}; undo the later tool first")
    (applied / COMPLETED).unlink(missing_ok=True)
    for place in saved:
        (applied / place / SUCCESSES).replace(images / place / SUCCESSES)
    shutil.rmtree(folder / "images", ignore_errors=True)
    shutil.rmtree(applied)
    return len(places)


def applied_folders(tools: Path) -> list[Path]:
    """Where the images are kept that results of tools took the place of."""
    return sorted(marker.parent for marker in tools.glob(f"*/{_APPLIED}/{_MANIFEST}"))


def applied_tools(tools: Path) -> list[str]:
    """Names of the tools whose results are in place of what was downloaded."""
    return [folder.parent.name for folder in applied_folders(tools)]


def _exchange(new: Path, current: Path, saved: Path) -> None:
    saved.parent.mkdir(parents=True, exist_ok=True)
    if not saved.exists():
        os.link(current, saved)
    new.replace(current)


def _manifest(applied: Path) -> Mapping[str, str]:
    batches: dict[str, str] = _document(applied)["batches"]
    return batches


def _document(applied: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((applied / _MANIFEST).read_text("utf-8"))
    return document


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"
