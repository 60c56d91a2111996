"""What a list states about a file's bytes (a checksum, a size), and whether the received bytes match it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ray_downloader.spill import Body


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list states about one file.

    Args:
        checksum: `md5:`, `sha1:` or `sha256:` and lower-case hexadecimal digits, as the partition stage writes it.
        size_bytes: Length of the file.
    """

    checksum: str | None = None
    size_bytes: int | None = None


NOTHING_LISTED = Listed()


def agreements(listed: Sequence[Listed], body: Body) -> list[bool | None]:
    """For each of several rows of one file, whether the body matches what is listed; None if nothing is listed."""

    @lru_cache
    def digest(algorithm: str) -> str:
        found = hashlib.new(algorithm, usedforsecurity=False)
        for piece in (body,) if isinstance(body, bytes) else body.pieces():
            found.update(piece)
        return found.hexdigest()

    def agrees(one: Listed) -> bool | None:
        if one == NOTHING_LISTED:
            return None
        if one.size_bytes not in {None, len(body)}:
            return False
        algorithm, _, digits = (one.checksum or "").partition(":")
        return not algorithm or digest(algorithm) == digits

    return [agrees(one) for one in listed]
