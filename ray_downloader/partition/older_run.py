"""A run folder of distributed-downloader is left as it is, and the user is told how to go on. Loads no DuckDB."""

from __future__ import annotations

from ray_downloader.errors import UserError
from ray_downloader.layout import RunLayout


def refuse_older_run(layout: RunLayout) -> None:
    """Its batches are cut by names as they are spelled; here they would be others.

    Raises:
        UserError: The folder is that of such a run.
    """
    if any(layout.urls.glob("server_name=*")):
        raise UserError(
            f"{layout.root} is a run folder of distributed-downloader, whose batches are cut otherwise; go on in a new "
            f"folder: path_to_input={layout.urls} with another path_to_output brings, under their uuids, the rows of "
            "its batches that are not completed; tools work on this folder as it is (docs/migrating.md)"
        )
