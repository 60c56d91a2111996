"""Finds holes that are filled with zeros in the data of a JPEG: libjpeg often decodes them without a word.

Zeros are read as the first code of each Huffman table, again and again. Where that is the code of a coefficient, they
are blocks full of equal coefficients, which no picture has. Where it ends a block, they are a plain area.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ray_downloader.errors import ErrorKind
from ray_downloader.image.jpeg_warnings import Damage
from ray_downloader.image.model import Header

#: A run of zeros of this length is a hole: the longest in the scans of 78 real pictures that can be judged had 3 bytes,
#: in a mutated one 12.
_HOLE = bytes(32)
#: The end of a scan's data: any marker but those that restart its decoder.
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_TABLES, _SCAN = 0xC4, 0xDA
_AC = 0x10


@dataclass(frozen=True, slots=True)
class Scan:
    """The data of a scan.

    Args:
        shows_holes: Whether a run of zeros in it cannot be a picture's.
    """

    start: int
    end: int
    shows_holes: bool


def zero_hole(body: bytes, header: Header) -> Damage | None:
    """The first hole of zeros; None if there is none that can be known."""
    if body.find(_HOLE, header.scan_at) < 0:
        return None
    for scan in scans(body, header.scan_at):
        data = body[scan.start : scan.end]
        at = data.find(_HOLE) if scan.shows_holes else -1
        behind = data[at:].lstrip(b"\0")
        if at >= 0 and behind.strip(b"\xff"):  # else it is padding behind the scan
            return Damage(ErrorKind.DECODE_FAILED, f"JPEG: {len(data) - at - len(behind)} bytes of its data are zeros")
    return None


def scans(body: bytes, first: int) -> Iterator[Scan]:
    """The scans of the first picture in `body`: phones append films and other pictures."""
    symbols = dict(_symbols_before(body, first))
    at = first
    while len(body) >= at + 4:
        marker, length = body[at + 1], int.from_bytes(body[at + 2 : at + 4], "big")
        segment = body[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == _TABLES:
            symbols.update(_first_symbols(segment))
        if marker == _SCAN:
            found = _MARKER.search(body, at)
            end = found.start() if found else len(body)
            yield Scan(at, end, _shows_holes(segment, symbols))
            at = end
        following = _MARKER.match(body, at)
        if following is None or following.group()[-1] == 0xD9:
            return
        at = following.end() - 2


def _symbols_before(body: bytes, scan: int) -> Iterator[tuple[int, int]]:
    at = 2
    while at < scan:
        found = _MARKER.search(body, at, scan)
        if found is None:
            return
        at = found.end()
        length = int.from_bytes(body[at : at + 2], "big")
        if found.group()[-1] == _TABLES:
            yield from _first_symbols(body[at + 2 : at + length])
        at += max(2, length)


def _first_symbols(segment: bytes) -> Iterator[tuple[int, int]]:
    """(class and number, what a code of zeros means) of each Huffman table."""
    at = 0
    while len(segment) > at + 17:
        yield segment[at], segment[at + 17]
        at += 17 + sum(segment[at + 1 : at + 17])


def _shows_holes(scan: bytes, symbols: dict[int, int]) -> bool:
    """Whether zeros are coefficients in some block of each unit. Scans that refine others have plain bits in them."""
    count = scan[0] if scan else 0
    if len(scan) != 4 + 2 * count:
        return False
    last, approximation = scan[2 + 2 * count], scan[3 + 2 * count]
    if not last or approximation >> 4:
        return False
    return any(symbols.get(_AC | scan[2 + 2 * part] & 15, 0) & 15 for part in range(count))
