"""Small CSV tables: each unit writes its part beside its marker, and the end of the tool puts the parts together."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ray_downloader.run_folder.atomic import replacing

#: A unit's part of a table that the whole tool writes.
PART = "part.csv"


def write_part(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with a header, also where there is no row."""
    with replacing(path) as temp, temp.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def gather_parts(folders: Iterable[Path], path: Path, columns: Sequence[str]) -> int:
    """Write the rows of all parts to `path`; how many they are."""
    rows = 0

    def counted() -> Iterator[list[str]]:
        nonlocal rows
        for folder in folders:
            with (folder / PART).open(encoding="utf-8", newline="") as file:
                for row in list(csv.reader(file))[1:]:
                    rows += 1
                    yield row

    write_part(path, columns, counted())
    return rows
