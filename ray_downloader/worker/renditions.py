"""Which version of a listed picture a task requests, and which kinds of versions a server has been found not to have.

A version that cannot be had costs a request. As long as a server has served none, no failure of one says anything about
the server, which may serve the listed pictures well. Once it did for some rows, this task requests no more versions
from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.renditions import find_rendition, iiif_by_info
from ray_downloader.run_folder.checksums import NOTHING_LISTED
from ray_downloader.worker.request_policy import Failure
from ray_downloader.worker.row import Row

#: So many pictures of a server without the version that was asked for, and it is taken to have none.
REFUSED_AFTER = 3
#: Failures to reach a server at all, which are not about what was requested.
_UNANSWERED = frozenset({ErrorKind.DNS, ErrorKind.CONNECT, ErrorKind.TLS})


class _Step(Enum):
    """A way to a smaller version."""

    DIRECT = "direct"
    BY_SIZES = "by_sizes"


class Renditions:
    """The choice of versions in one task.

    Args:
        least_px: The longer side that a version needs; 0 if the listed pictures are to be requested.
        least_shorter_px: The shorter side that one needs: that of pictures which are stored at their shorter side.
    """

    def __init__(self, least_px: int, least_shorter_px: int = 0) -> None:
        self._least_px = least_px
        self._least_shorter_px = least_shorter_px
        self._served: set[tuple[str, _Step]] = set()
        self._refused: Counter[tuple[str, _Step]] = Counter()

    def choose(self, row: Row) -> None:
        """Let a row that was not requested yet begin with a smaller version, if there may be one."""
        is_described = any(listed != NOTHING_LISTED for listed in row.listed)
        if not self._least_px or is_described:  # a listed checksum is of the listed picture
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

    def may_be_missing(self, row: Row, failure: Failure) -> bool:
        """Whether its server may have no such version, and says so in an odd way: others of it were never served."""
        is_down = failure.kind in _UNANSWERED and not row.hops
        if is_down or not (row.asks_for_version or row.asks_for_sizes):
            return False
        return (row.server, _Step.BY_SIZES if row.has_asked_sizes else _Step.DIRECT) not in self._served

    def is_too_narrow(self, row: Row, size: Sequence[int]) -> bool:
        """Whether a version that arrived would be stored smaller than the listed picture may be."""
        return row.asks_for_version and min(size) < self._least_shorter_px

    def listed_bytes(self, row: Row, size: Sequence[int], size_bytes: int) -> int | None:
        """About how many bytes the listed picture has, by the sizes of both; None if its own is not known."""
        shrinks_by = row.rendition.shrinks_by if row.rendition else 0.0
        if not shrinks_by:
            return None
        return round(size_bytes * shrinks_by**2) if max(size) >= self._least_px else size_bytes

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
