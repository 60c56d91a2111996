"""Whether a run's list is still the one that its batches were made of, and what happens if it is not.

1. No file was touched, or the content is the same wherever it is now: the run continues.
2. The bytes or the keys that read them differ: the list is partitioned beside the run and compared row by row. So a
   list that was compressed or written in another form is the same list.
3. The rows differ: `list=extend` adds the new ones in batches of their own, `list=keep` continues without them, and
   without either the run is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.partition import DocumentReader, leave_unread, load_partition_summary
from ray_downloader.partition.compare import ADDED, Comparison, added_rows, beside, compare, partitioned
from ray_downloader.partition.content import content_of_list
from ray_downloader.run_folder.identity import (
    ACCEPTED,
    RunIdentity,
    changed_keys,
    load_identity,
    row_keys,
    save_identity,
    with_list,
)
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.moves import Moves, make_moves
from ray_downloader.run_folder.small_json import read_object

Report = Callable[[str], None]


def settle_list(
    settings: Settings, layout: RunLayout, trash: str, report: Report, read_documents: DocumentReader = leave_unread
) -> None:
    """Make sure that the batches of the run are those of its list, or are meant not to be.

    Args:
        settings: What the list is now.
        layout: A run that has batches.
        trash: Name of a folder for what is moved away.
        report: Called with a sentence about what was found.
        read_documents: Reads the manifests that the list names instead of pictures.

    Raises:
        UserError: The list differs, and it was not said what that means; or it does not exist.
    """
    if settings.list == "keep":
        return
    identity, why = load_identity(layout)
    known = identity or RunIdentity()
    try:
        content = content_of_list(settings, layout, known.listed)
    except UserError:
        if settings.path_to_input != (known.listed.path or _legacy_path(layout)):
            raise
        report(f"path_to_input={settings.path_to_input} does not exist any more; the run continues with its own rows")
        return
    changed = changed_keys(known.rows, row_keys(settings))
    if content.sha256 == known.listed.sha256 and not changed:
        if content != known.listed:
            save_identity(layout, with_list(identity, content, settings))
        return
    if identity is None:
        report(f"{why}: the list is compared with the rows of the run")
    with partitioned(settings, layout, lambda _: None, read_documents) as listed:
        report(_compare(settings, (layout, listed), with_list(known, content, settings), known, trash))


def _compare(
    settings: Settings, layouts: tuple[RunLayout, RunLayout], now: RunIdentity, known: RunIdentity, trash: str
) -> str:
    """Compare the rows of the run with those listed, and do what is to be done about it; returns what was found."""
    layout, listed = layouts
    rows = compare(layout, listed)
    now = replace(now, listed=replace(now.listed, rows=rows.listed))
    if not rows.is_equal and settings.list is None:
        raise UserError(_refusal(settings, layout, known, rows))
    if not rows.new:
        if rows.is_equal:
            _take_rejected(layout, listed, trash)
        save_identity(layout, now)
        return f"the list was touched, and its rows are those of this run: {rows}"
    files = added_rows(layout, listed, settings.downloader_parameters)
    accepted_rows = load_partition_summary(beside(layout, ADDED)).accepted_rows
    now = replace(now, batches={**now.batches, "extended": True, ACCEPTED: accepted_rows})
    make_moves(layout.root, Moves(trash, [], files, {layout.run_file.name: now.to_json()}))
    (layout.root / ADDED).rmdir()
    return f"the new rows of the list were added: {rows}"


def _take_rejected(layout: RunLayout, listed: RunLayout, trash: str) -> None:
    """Let the run have the rejected rows of the list, whose accepted rows are its own: others may be rejected now."""
    counted = load_partition_summary(listed)
    summary = replace(
        load_partition_summary(layout), input_rows=counted.input_rows, rejected_by_reason=counted.rejected_by_reason
    )
    place = {_relative(layout, listed.rejected_table): _relative(layout, layout.rejected_table)}
    texts = {_relative(layout, layout.partition_summary_file): summary.to_json()}
    make_moves(layout.root, Moves(trash, [], place, texts))


def _relative(layout: RunLayout, path: Path) -> str:
    return path.relative_to(layout.root).as_posix()


def _refusal(settings: Settings, layout: RunLayout, known: RunIdentity, rows: Comparison) -> str:
    changed = changed_keys(known.rows, row_keys(settings))
    keys = "".join(f"; {key}={before!r} before, {now!r} now" for key, (before, now) in changed.items())
    return (
        f"path_to_input={settings.path_to_input} is not the list that {layout.root} was made of: {rows}{keys}. "
        "Choose list=extend (add the new rows, keep the old), list=keep (continue with the old ones alone), "
        "or another path_to_output"
    )


def _legacy_path(layout: RunLayout) -> object:
    """Where the list of a run without `run.json` was."""
    try:
        return read_object(layout.settings_file).get("path_to_input")
    except (OSError, ValueError):
        return None
