"""Which rows a task had in hand when its process died, and which of them is to blame, found by halving over tasks.

A row may kill a process anywhere, not only in a decoder. Each task notes the rows that it works on; if the process
dies, the next tasks work on fewer and fewer of them at a time, until the row that kills is alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray_downloader.run_folder.small_json import read_object

#: The first death may be chance (out of memory, a machine that is switched off); after this many, rows are suspected.
CAREFUL_FROM = 2
#: A row that was alone in the hands of this many processes that died, and under way in each, is to blame.
BLAMED_AFTER = 3


class Suspects:
    """The rows of one batch that may have killed a process.

    Args:
        path: The note; it exists only between a death and the next task, and while a task works.
        is_unsettled: Whether a row has no result yet.
    """

    def __init__(self, path: Path, is_unsettled: Callable[[int], bool]) -> None:
        self._path = path
        known = _read(path)
        in_hand = known["rows"]
        self._rows = [row for row in in_hand if is_unsettled(row)]
        self._deaths = known["deaths"] + 1 if self._rows else 0
        # A process that died while its only row waited for its turn was killed by something else.
        self._alone = known["alone"] + known["begun"] if self._rows and len(in_hand) == 1 else 0
        self._in_hand: list[int] = []
        self.blamed = self._rows[0] if self._alone >= BLAMED_AFTER else None

    @property
    def is_careful(self) -> bool:
        """Whether only some suspects are worked on at a time."""
        return self._deaths >= CAREFUL_FROM and bool(self._rows)

    def take(self) -> list[int]:
        """The suspects to work on next: the first half of those that are left."""
        half = max(1, len(self._rows) // 2)
        taken, self._rows = self._rows[:half], self._rows[half:]
        return taken

    def note(self, in_hand: Sequence[int]) -> None:
        """Write down what is worked on from now on; none of it is under way yet."""
        self._in_hand = list(in_hand)
        self._note(is_begun=False)

    def begin(self) -> None:
        """A row is requested."""
        self._note_alone(is_begun=True)

    def rest(self) -> None:
        """A row waits."""
        self._note_alone(is_begun=False)

    def _note_alone(self, *, is_begun: bool) -> None:
        """Among several nobody is blamed, so it need not be known which are under way."""
        if len(self._in_hand) == 1:
            self._note(is_begun=is_begun)

    def _note(self, *, is_begun: bool) -> None:
        alone = self._alone if len(self._in_hand) == 1 else 0
        self._write(self._in_hand, self._deaths, alone, is_begun=is_begun)

    def close(self, left: Sequence[int]) -> None:
        """The task ends in good order, with these rows of those it worked on unsettled."""
        if self._deaths >= CAREFUL_FROM and (self._rows or left):
            self._write([*left, *self._rows], self._deaths - 1, 0, is_begun=False)
        else:
            self._path.unlink(missing_ok=True)

    def _write(self, rows: list[int], deaths: int, alone: int, *, is_begun: bool) -> None:
        """Not atomic, nor flushed to disk: it is for the death of a process, and half of it is as good as none."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        note = {"rows": rows, "deaths": deaths, "alone": alone, "begun": is_begun}
        self._path.write_text(json.dumps(note), "utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        known = read_object(path)
        rows, deaths, alone = [int(row) for row in known["rows"]], int(known["deaths"]), int(known["alone"])
        begun = bool(known.get("begun", True))
    except (OSError, ValueError, KeyError, TypeError):
        return {"rows": [], "deaths": 0, "alone": 0, "begun": False}
    return {"rows": rows, "deaths": deaths, "alone": alone, "begun": begun}
