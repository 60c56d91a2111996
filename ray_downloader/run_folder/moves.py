"""Moves of several files of a run folder that happen as one: all of them, or none, wherever a kill comes.

What is to be moved is written down first, in `.moves.json`. From then on the moves are decided: this process or the
next one that holds the folder makes those that are left. What is moved away goes into `trash-<time>/`, removed last.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ray_downloader.errors import RunFolderError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.small_json import read_object

_NOTE = ".moves.json"
_TRASH = re.compile(r"trash-\d{8}T\d{6}Z")


@dataclass(frozen=True, slots=True)
class Moves:
    """What is to be moved; paths are relative to the run folder.

    Args:
        trash: Name of the folder for what is moved away.
        away: What is moved away.
        into_place: Sources, and where they go; a file that is there is replaced, a folder must be moved away.
        texts: Small files that are written afterwards.
    """

    trash: str
    away: Sequence[str] = ()
    into_place: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


def trash_name(now_unix_s: float) -> str:
    """The name of a folder for what is moved away."""
    return f"trash-{datetime.fromtimestamp(now_unix_s, timezone.utc):%Y%m%dT%H%M%SZ}"


def make_moves(root: Path, moves: Moves) -> None:
    """Make the moves; a kill at any time leaves the rest to `finish_moves`."""
    away = [path for path in moves.away if (root / path).exists()]
    document = {"trash": moves.trash, "away": away, "into_place": moves.into_place, "texts": moves.texts}
    write_text(root / _NOTE, json.dumps(document, indent=1) + "\n")
    finish_moves(root)


def finish_moves(root: Path) -> None:
    """Make what is left of the moves that an earlier process decided, and remove what was moved away.

    Raises:
        RunFolderError: The note about them cannot be read, so it is not known which are left.
    """
    note = root / _NOTE
    if note.exists():
        _make(root, _read(note))
        note.unlink()
    for folder in root.glob("trash-*"):
        if _TRASH.fullmatch(folder.name):
            shutil.rmtree(folder)


def _make(root: Path, moves: Moves) -> None:
    for path in moves.away:
        trashed = root / moves.trash / path
        if not trashed.exists() and (root / path).exists():
            trashed.parent.mkdir(parents=True, exist_ok=True)
            (root / path).rename(trashed)
    for source, target in moves.into_place.items():
        if (root / source).exists():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            (root / source).replace(root / target)
    for path, text in moves.texts.items():
        write_text(root / path, text)


def _read(note: Path) -> Moves:
    try:
        document = read_object(note)
        return Moves(document["trash"], document["away"], document["into_place"], document["texts"])
    except (OSError, ValueError, KeyError, TypeError):
        raise RunFolderError(
            f"{note} is damaged, and a reset or list=extend was under way when its process ended; what was moved is "
            f"in {note.parent}/trash-*. Delete {note.name}, and run the same command again"
        ) from None
