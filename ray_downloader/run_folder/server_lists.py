"""Lists of servers that a user writes, as csv with a column `server_name`: those that a run ignores, for one.

Read by every stage that asks servers, and by datasets, so it lies beside none of them.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ray_downloader.errors import UserError
from ray_downloader.partition.server_key import BadUrlError, named_server
from ray_downloader.run_folder.layout import RunLayout


def load_ignored_servers(layout: RunLayout) -> frozenset[str]:
    """Canonical keys of the servers, and names of the groups, that `ignored.csv` lists; none without such a file.

    Raises:
        UserError: The file has no column `server_name`.
    """
    path = layout.ignored_table
    return read_server_names(path, str(path)) if path.exists() else frozenset()


def read_server_names(path: Path, shown: str) -> frozenset[str]:
    """The column `server_name`, each name as the run itself spells it.

    Args:
        path: The csv file.
        shown: What the user knows it by.

    Raises:
        UserError: There is no such file or column.
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
    """The name of a server as its URLs have it; what cannot be one, such as the name of a group, in lower case."""
    try:
        return named_server(text)
    except BadUrlError:
        return text.strip().lower()
