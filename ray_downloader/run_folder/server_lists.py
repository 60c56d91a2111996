"""Lists of servers that a user writes, as csv with a column `server_name`; one of them names those that a run ignores.

Read by every stage that sends requests, and by datasets, so this module belongs to none of them.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ray_downloader.errors import UserError
from ray_downloader.partition.server_key import BadUrlError, named_server
from ray_downloader.run_folder.layout import RunLayout


def load_ignored_servers(layout: RunLayout) -> frozenset[str]:
    """Canonical keys of the servers, and names of the groups, that `ignored.csv` lists; empty without such a file.

    Raises:
        UserError: The file has no column `server_name`.
    """
    path = layout.ignored_table
    return read_server_names(path, str(path)) if path.exists() else frozenset()


def read_server_names(path: Path, shown: str) -> frozenset[str]:
    """The column `server_name`, each name in the run's own spelling.

    Args:
        path: The csv file.
        shown: The name by which the user knows it.

    Raises:
        UserError: The file or the column does not exist.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if "server_name" not in (reader.fieldnames or []):
                there = ", ".join(reader.fieldnames or ["nothing"])
                raise UserError(f"{shown} needs a column 'server_name'; it has: {there}")
            names = (row["server_name"] or "" for row in reader)
            return frozenset(canonical_name(name) for name in names if name.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def canonical_name(text: str) -> str:
    """The name of a server as in its URLs; other names, such as that of a group, in lower case."""
    try:
        return named_server(text)
    except BadUrlError:
        return text.strip().lower()
