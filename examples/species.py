"""Counts the images of each species: images joined to the occurrences of the same GBIF download.

python examples/species.py out occurrence.txt
"""

from __future__ import annotations

import sys

import duckdb


def species(out: str, occurrences: str) -> list[tuple[str, int]]:
    """Scientific names with their numbers of images, the most frequent first."""
    return duckdb.execute(
        """
        SELECT o.scientificName, count(*) AS images
        FROM read_parquet($images, union_by_name = true) AS i
        JOIN read_csv($occurrences, delim = '\t', quote = '', all_varchar = true) AS o ON i.source_id = o.gbifID
        GROUP BY ALL ORDER BY images DESC, 1
        """,
        {"images": f"{out}/images/*/*/successes.parquet", "occurrences": occurrences},
    ).fetchall()


if __name__ == "__main__":
    for name, images in species(*sys.argv[1:3]):
        print(f"{images:8} {name}")
