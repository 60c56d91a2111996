"""Which version of a listed picture a task requests, and which kinds of versions a server has been found not to have.

A version that is refused costs a request. A server that refused some of them, served the listed pictures of the same
rows, and never served a version, is not asked for any more in this task.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from enum import Enum

from ray_downloader.fetch.renditions import find_rendition, iiif_by_info
from ray_downloader.worker.row import Row

#: So many pictures of a server without the version that was asked for, and it is taken to have none.
REFUSED_AFTER = 3


class _Step(Enum):
    """A way to a smaller version."""

    DIRECT = "direct"
    BY_SIZES = "by_sizes"


class Renditions:
    """The choice of versions in one task.

    Args:
        least_px: The longer side that a version needs; 0 if the listed pictures are to be requested.
    """

    def __init__(self, least_px: int) -> None:
        self._least_px = least_px
        self._served: set[tuple[str, _Step]] = set()
        self._refused: Counter[tuple[str, _Step]] = Counter()

    def choose(self, row: Row) -> None:
        """Let a row that was not requested yet begin with a smaller version, if there may be one."""
        if not self._least_px or row.listed:  # a listed checksum is of the listed picture
            return
        found = find_rendition(row.identifier, self._least_px)
        if found is None:
            return
        can_ask = bool(found.sizes_url) and not self._is_pointless(row.server, _Step.BY_SIZES)
        if not self._is_pointless(row.server, _Step.DIRECT):
            row.prefer(found if can_ask else replace(found, sizes_url=""))
        elif can_ask:
            row.prefer(replace(found, url=found.sizes_url))

    def learn_sizes(self, row: Row, document: bytes) -> bool:
        """Let a row continue with the version that a document about sizes names; whether it names one."""
        found = iiif_by_info(row.identifier, document, self._least_px)
        if found is None:
            return False
        row.take_version(found)
        return True

    def choose_again(self, row: Row) -> None:
        """Let a row whose next request is for what its server has been found not to have go past that."""
        if row.asks_for_version and not row.has_asked_sizes and self._is_pointless(row.server, _Step.DIRECT):
            if self._is_pointless(row.server, _Step.BY_SIZES) or not row.turn_to_sizes():
                row.turn_to_listed()
        elif row.asks_for_sizes and self._is_pointless(row.server, _Step.BY_SIZES):
            row.turn_to_listed()

    def note_stored(self, row: Row) -> bool:
        """Learn from a picture that was stored what its server has; whether other rows may choose otherwise now."""
        before = [self._is_pointless(row.server, step) for step in _Step]
        self._note(row)
        return before != [self._is_pointless(row.server, step) for step in _Step]

    def _note(self, row: Row) -> None:
        if row.rendition is None:
            return
        if row.url == row.identifier:
            steps = (_Step.DIRECT, _Step.BY_SIZES) if row.has_asked_sizes else (_Step.DIRECT,)
            self._refused.update((row.server, step) for step in steps)
        elif row.url == row.rendition.url:
            self._served.add((row.server, _Step.BY_SIZES if row.has_asked_sizes else _Step.DIRECT))
            if row.has_asked_sizes:
                self._refused[row.server, _Step.DIRECT] += 1

    def _is_pointless(self, server: str, step: _Step) -> bool:
        return (server, step) not in self._served and self._refused[server, step] >= REFUSED_AFTER
