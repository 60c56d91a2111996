"""The marker that says that a folder is finished, written after everything else in it.

Its name begins with `_`, because those who read a folder of parquet files skip such names. Earlier versions called it
`completed`, and that still counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.file_errors import require_damage

COMPLETED = "_completed"
_NAMES = (COMPLETED, "completed")


def find_marker(folder: Path) -> Path | None:
    """The folder's marker; None if it is not finished."""
    return next((path for path in (folder / name for name in _NAMES) if os.path.lexists(path)), None)


def read_marker(folder: Path) -> str | None:
    """The text of the folder's marker; empty if it is damaged, None if there is none.

    Raises:
        RunFolderError: It is out of reach.
    """
    for name in _NAMES:
        try:
            return (folder / name).read_text("utf-8", "replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            require_damage(error, folder / name)
            return ""
    return None


def write_marker(folder: Path, text: str) -> None:
    """Mark the folder as finished."""
    write_text(folder / COMPLETED, text)


def remove_marker(folder: Path) -> None:
    """From now on the folder is not finished."""
    for name in _NAMES:
        (folder / name).unlink(missing_ok=True)


def finished_folders(root: Path, pattern: str) -> Iterator[Path]:
    """Folders below `root` that match the pattern and have a marker, in the order of their names."""
    return iter(sorted({path.parent for name in _NAMES for path in root.glob(f"{pattern}/{name}")}))
