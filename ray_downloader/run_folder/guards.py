"""Protects a run folder: checks before anything is written into it, and `reset`."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_downloader.config.settings import DatasetSettings, Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import load_retry_order

_log = logging.getLogger(__name__)

#: Keys of `dataset` that do not affect any batch.
_NOT_OF_PARTITION = {"input_help", "checksum"}


def refuse_legacy_run(layout: RunLayout) -> None:
    """Refuse a legacy run folder: its batches are cut by server names as they are spelled, ours by canonical ones.

    Raises:
        UserError: The folder is one of distributed-downloader.
    """
    if any(layout.urls.glob("server_name=*")):
        raise UserError(
            f"{layout.root} is a run folder of distributed-downloader, whose batches are cut differently; use a new "
            f"folder: path_to_input={layout.urls} with another path_to_output reads, under their uuids, the rows of "
            "its batches that are not completed; tools work on this folder as it is (docs/migrating.md)"
        )


def apply_reset(settings: Settings, layout: RunLayout, applied: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Remove what `reset` names, once per submission: a job that Slurm requeues continues instead.

    The operator's orders outlive `reset=profiled`.

    Args:
        settings: The run's settings.
        layout: Layout of its folder.
        applied: Folders of tools in which replaced images are kept; they could not be restored over new images.
        environ: Contains Slurm's job id and the number of requeues.
    """
    if settings.reset is None:
        return
    submission = {"job": environ.get("SLURM_JOB_ID", ""), "reset": settings.reset}
    if environ.get("SLURM_RESTART_COUNT", "0") != "0" and _last_reset(layout) == submission:
        _log.info("reset=%s: this job has done that before it was requeued; it continues", settings.reset)
        return
    if settings.reset == "batched":
        stale = [layout.profiles_table, layout.schedules, layout.progress_file, *applied]
        stale += [layout.urls, layout.images, layout.summary_file, layout.settings_file, layout.checkpoint_file]
    else:
        stale = [layout.profiles_table, layout.profile_parts, layout.servers_state_file, layout.robots]
    for path in stale:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    write_text(layout.reset_file, json.dumps(submission) + "\n")
    _log.info("reset=%s: removed %s", settings.reset, ", ".join(path.name for path in stale))


def _last_reset(layout: RunLayout) -> object:
    try:
        return json.loads(layout.reset_file.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def refuse_another_list(settings: Settings, layout: RunLayout) -> None:
    """A folder that has batches of one list must not continue with another.

    Raises:
        UserError: It would do so.
    """
    if not (layout.settings_file.exists() and layout.batches_table.exists()):
        return
    before, now = (
        _partition_keys(json.loads(text)) for text in (layout.settings_file.read_text("utf-8"), settings.to_json())
    )
    for key in now:
        if before.get(key) != now[key]:
            raise UserError(
                f"{layout.root} holds a run with {key}={before.get(key)!r}, not {now[key]!r}: "
                "choose another path_to_output, or start over with reset=batched"
            )


def _partition_keys(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which rows are in which batch; keys that an earlier version did not have get their defaults."""
    given = {key: value for key, value in settings["dataset"].items() if key in DatasetSettings.model_fields}
    dataset = DatasetSettings.model_validate(given).model_dump(mode="json", exclude=_NOT_OF_PARTITION)
    return {"path_to_input": settings["path_to_input"], "dataset": dataset}


def refuse_replaced_images(settings: Settings, layout: RunLayout, changed: Sequence[str]) -> None:
    """Refuse to retry errors while tools' results replace images: dropped rows would look unsettled and be refetched.

    Args:
        settings: The run's settings.
        layout: Layout of its folder.
        changed: Tools whose results replace images.

    Raises:
        UserError: There are such tools, and errors are to be retried.
    """
    if changed and (settings.retry_errors or load_retry_order(layout).kinds_left):
        raise UserError(
            f"retry_errors: results of tools replace images of {layout.root} ({', '.join(changed)}); restore the "
            "images with tools_parameters.undo=true, retry, and run the tools again"
        )
