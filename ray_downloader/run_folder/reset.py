"""`reset`: what it removes, who must confirm that, and that it acts once per submission.

`reset=batched` is the only thing that deletes images. It is confirmed by the name of the folder, and it acts only when
everything else about the run has been checked. What it removes is moved away as one (`moves.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.guards import holds_images
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.moves import Moves
from ray_downloader.run_folder.small_json import read_object
from ray_downloader.run_folder.work_folder import shown_place

#: Asks the user, on a terminal.
Ask = Callable[[str], str]


def is_due(settings: Settings, layout: RunLayout, environ: Mapping[str, str]) -> bool:
    """Whether `reset` is to act: a job that Slurm requeues continues instead.

    Args:
        settings: The run's settings.
        layout: Its folder.
        environ: Contains Slurm's job id and the number of requeues.
    """
    if settings.reset is None:
        return False
    is_requeued = environ.get("SLURM_RESTART_COUNT", "0") != "0"
    return not (is_requeued and _last_reset(layout) == _submission(settings, environ))


def check_reset(settings: Settings, layout: RunLayout, ask: Ask | None) -> None:
    """Refuse a reset that is not meant, or that could not be followed by a run.

    Args:
        ask: Asks on the terminal; None if there is none.

    Raises:
        UserError: It is not confirmed, or `mode` or `stages` contradict it.
    """
    if settings.reset != "batched":
        return
    if settings.mode != "run":
        raise UserError(f"reset=batched removes all images, and mode={settings.mode} fetches none: choose one")
    if "partition" not in settings.stages:
        raise UserError("reset=batched removes the batches, so stages must contain partition, which makes them anew")
    if not holds_images(layout):
        return
    name, place = layout.root.name, shown_place(layout.root)
    if settings.confirm == name:
        return
    if settings.confirm is not None:
        raise UserError(f"confirm={settings.confirm} is not the name of the folder whose images reset=batched removes: "
                        f"{place} has the name {name}")  # fmt: skip
    if ask is None:
        raise UserError(
            f"reset=batched removes all images of {place}: confirm it with the name of the folder, that is, run "
            f"the same command with reset=batched confirm={name}"
        )
    if ask(f"reset=batched removes all images of {place}. Type the name of the folder to confirm: ") != name:
        raise UserError(f"not confirmed: nothing of {place} was changed")


def moves_of_reset(
    settings: Settings, layout: RunLayout, applied: Sequence[Path], environ: Mapping[str, str], trash: str
) -> Moves:
    """What the reset moves away. The operator's orders outlive `reset=profiled`.

    Args:
        applied: Folders of tools in which replaced images are kept; they could not be restored over new images.
        environ: As `is_due`.
        trash: Name of the folder for what is moved away.
    """
    away = [
        layout.profiles_table,
        layout.profile_parts,
        layout.servers_state_file,
        layout.server_changes_file,
        layout.robots,
    ]
    if settings.reset == "batched":
        away = [
            layout.images,
            layout.urls,
            layout.manifests,
            layout.run_file,
            layout.profiles_table,
            layout.schedules,
            *applied,
        ]
        away += [layout.progress_file, layout.summary_file, layout.settings_file, layout.checkpoint_file]
    texts = {_relative(layout, layout.reset_file): json.dumps(_submission(settings, environ)) + "\n"}
    return Moves(trash, [_relative(layout, path) for path in away], {}, texts)


def _relative(layout: RunLayout, path: Path) -> str:
    return path.relative_to(layout.root).as_posix()


def _submission(settings: Settings, environ: Mapping[str, str]) -> dict[str, str | None]:
    return {"job": environ.get("SLURM_JOB_ID", ""), "reset": settings.reset}


def _last_reset(layout: RunLayout) -> object:
    try:
        return read_object(layout.reset_file)
    except (OSError, ValueError):
        return None
