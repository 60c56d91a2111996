"""Makes a `multimedia.txt` as GBIF writes it: tab separated, no quoting, 15 columns, about 270 bytes a row.

Deterministic: row i depends only on i and the DuckDB version, so two machines measure the same file. Servers follow
Zipf's law (exponent 1), as few hosts hold nearly all GBIF images; oddities of real lists are mixed in by a fixed
share: empty identifiers, sounds, empty types, quotes in titles, repeated URLs, upper-case hosts and ports.

    python benchmarks/partition/make_gbif.py multimedia.txt --rows 10000000 --servers 545
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

from ray_downloader.sql import literal

#: Rows in a thousand: no identifier 2, sound 10, empty type with an image format 5, broken URL 1, repeated URL 20.
_ROWS_SQL = r"""
COPY (
    WITH photos AS (
        SELECT i, CASE WHEN hash(i, 4) % 50 = 0 THEN i // 2 ELSE i END AS photo
        FROM range({rows}) AS numbers(i)
    ), drawn AS (
        SELECT i, photo, hash(i, 1) AS h, (hash(photo, 2) % 1000)::INTEGER AS oddity,
               least({servers}, floor(pow({servers} + 1, (hash(photo, 3) >> 11) / pow(2, 53))))::INTEGER AS server
        FROM photos
    ), urls AS (
        SELECT *, CASE WHEN server % 5 = 0 THEN 'http://' ELSE 'https://' END
               || CASE WHEN oddity = 20 THEN upper('media' || server) ELSE 'media' || server END
               || '.museum-' || server || '.example.org' || CASE WHEN oddity = 21 THEN ':8080' ELSE '' END AS origin,
               md5(photo::VARCHAR) AS name
        FROM drawn
    )
    SELECT 1000000000 + i // 2 AS gbifID,
           CASE WHEN oddity BETWEEN 2 AND 11 THEN 'Sound' WHEN oddity BETWEEN 12 AND 16 THEN ''
                ELSE 'StillImage' END AS type,
           CASE WHEN oddity BETWEEN 2 AND 11 THEN 'audio/mpeg' WHEN oddity % 100 = 50 THEN ''
                ELSE 'image/jpeg' END AS format,
           CASE WHEN oddity < 2 THEN '' WHEN oddity = 17 THEN 'http:// broken'
                ELSE origin || '/photos/' || left(name, 2) || '/' || photo || '/original-' || name || '.jpg'
                END AS identifier,
           'https://www.museum-' || server || '.example.org/photos/' || photo AS "references",
           CASE WHEN oddity % 20 = 0 THEN 'A "type" of ' || left(name, 8) ELSE '' END AS title,
           CASE WHEN oddity % 10 = 0 THEN 'Lateral view, No. ' || photo ELSE '' END AS description,
           '' AS source, '' AS audience,
           '20' || (10 + h % 15) || '-0' || (1 + h % 9) || '-1' || h % 10 || 'T01:08:05Z' AS created,
           'observer' || h % 50000 AS creator, '' AS contributor,
           'Museum ' || server AS publisher,
           'http://creativecommons.org/licenses/by-nc/4.0/' AS license,
           'observer' || h % 50000 AS "rightsHolder"
    FROM urls ORDER BY i
) TO {path} (FORMAT csv, DELIMITER '\t', QUOTE '', ESCAPE '', HEADER)
"""


def make_gbif(path: Path, rows: int, servers: int) -> None:
    """Write `rows` rows spread over `servers` servers to `path`."""
    sql = _ROWS_SQL.format(rows=rows, servers=servers, path=literal(path))
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(sql)


def main() -> None:
    """Command line of the generator."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--servers", type=int, default=545)
    arguments = parser.parse_args()
    make_gbif(arguments.path, arguments.rows, arguments.servers)


if __name__ == "__main__":
    main()
