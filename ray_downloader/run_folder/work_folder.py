"""The note in a work folder: of which run in an object store it is, and whether it has all of it.

A run whose `path_to_output` is a URL works in a folder of this machine. It has the form of any run folder, so all that
reads one reads it; the note tells where its results go.
"""

from __future__ import annotations

import json
import os
import stat
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.file_errors import lack_error
from ray_downloader.run_folder.small_json import read_object

#: Folder of what only the exchange with the store needs.
STORE = ".store"
_NOTE = "work.json"


@dataclass(frozen=True, slots=True)
class WorkNote:
    """What a work folder is.

    Args:
        url: The run's place in the store.
        work: A name for the folder, unlike that of any other.
        is_whole: Whether it has everything that the store had when it took the run over.
    """

    url: str
    work: str
    is_whole: bool = False

    @classmethod
    def new(cls, url: str) -> WorkNote:
        """The note of a new work folder."""
        return cls(url, uuid.uuid4().hex)

    @classmethod
    def load(cls, root: Path) -> WorkNote | None:
        """The note of a folder; None if it is not a work folder."""
        try:
            values = read_object(root / STORE / _NOTE)
            return cls(str(values["url"]), str(values["work"]), bool(values["is_whole"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, root: Path) -> None:
        """Write it into the folder."""
        write_text(root / STORE / _NOTE, json.dumps(asdict(self)) + "\n")


def shown_place(root: Path) -> str:
    """What a user calls the run of a folder: its URL if it has one, else the folder."""
    note = WorkNote.load(root)
    return note.url if note else str(root)


def make_private_base(base: Path) -> None:
    """Make it, closed to others: `/tmp` belongs to everybody.

    Raises:
        UserError: It cannot be made, or somebody else has taken the name.
    """
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = base.lstat()
    except OSError as error:
        raise (
            lack_error(error, base)
            or UserError(f"{base} cannot be used for the run's work: {error.strerror}; {_OTHER}")
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UserError(f"{base} is not a folder of yours, so the run cannot work there; {_OTHER}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        base.chmod(0o700)


_OTHER = "name another folder with cluster.work_folder"
