"""Protects a run folder: checks before anything is written into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.identity import changed_keys, picture_keys
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import load_retry_order


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


def refuse_other_pictures(settings: Settings, layout: RunLayout, before: Mapping[str, object]) -> None:
    """Refuse to store pictures of another kind beside those of the run, unless that is asked for.

    Args:
        before: The keys that decided what a stored picture of the run is (`picture_keys`); empty if that is unknown.

    Raises:
        UserError: The keys that decide what a stored picture is have changed.
    """
    changed = changed_keys(before, picture_keys(settings))
    if not changed or settings.image.changed == "new" or not holds_images(layout):
        return
    values = "; ".join(f"{key}={old} before, {new} now" for key, (old, new) in changed.items())
    as_before = " ".join(f"{key}={old}" for key, (old, _) in changed.items())
    raise UserError(
        f"{layout.root} holds pictures of another kind ({values}): continue with {as_before}, or store only the "
        "pictures to come in the new way with image.changed=new, or choose another path_to_output"
    )


def holds_images(layout: RunLayout) -> bool:
    """Whether anything is stored, in journals or in tables."""
    return any(layout.images.glob("server_name=*/partition_id=*/successes*"))


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
