"""Aggregates over the columns of finished batches, with DuckDB; the image column is never read.

A file costs more than its rows (0.3 ms to open), and a run may have 10^5 of them, so at most `MOST_FILES` of each kind
are read: of images, random ones; of errors, those with the most, whose servers need words. `Share` says how much of the
run they are. Counts of rows are those of the markers instead.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow.parquet as pq

from ray_downloader.partition.server_key import BadUrlError, server_key
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.sql import file_list, literal

MOST_FILES = 1_000
MOST_ROWS = 3_000_000
#: Columns over time.
TIME_STEPS = 48
#: Different texts that are counted one by one.
MOST_TEXTS = 2_000
#: Characters of a server's words that are kept.
MOST_CHARACTERS = 240

_HOST = "regexp_extract(lower({url}), '^https?://(?:[^/?#@]*@)?([^/?#]+)', 1)"
_SUCCESSES = {
    "license": "VARCHAR",
    "source": "VARCHAR",
    "original_format": "VARCHAR",
    "original_size": "UINTEGER[]",
    "final_url": "VARCHAR",
    "datasetKey": "VARCHAR",
    "checksum_ok": "BOOLEAN",
    "fetched_at": "TIMESTAMPTZ",
}
_ERRORS = {"error_kind": "VARCHAR", "http_status": "INTEGER", "error_msg": "VARCHAR", "fetched_at": "TIMESTAMPTZ"}
_FOLDER = "string_split(filename, '/')[-3]"


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a run was read.

    Args:
        files: Files that were read.
        of_files: Files that there are.
        rows: Rows in those that were read.
        of_rows: Rows in all.
    """

    files: int
    of_files: int
    rows: int
    of_rows: int

    @property
    def is_whole(self) -> bool:
        """Whether everything was read."""
        return self.files == self.of_files


@dataclass(frozen=True, slots=True)
class Words:
    """What a server said about some of its rows.

    Args:
        kind: Their error kind.
        status: The HTTP status, if there was one.
        rows: How many.
        text: The message of one of them.
        url: Its URL.
    """

    kind: str
    status: int | None
    rows: int
    text: str
    url: str


@dataclass(slots=True)
class Results:
    """What was read.

    Args:
        images: The share of images that was read.
        errors: The share of errors that was read.
        counts: Images by the values of some properties ("license", "source", ...).
        moved: By server: the other host from which most of its images came, and how many.
        words: By server, the most frequent first.
        start_s: Begin of `over_time`, in Unix time.
        step_s: Length of one of its steps.
        over_time: Rows in each step, by error kind or "success".
    """

    images: Share
    errors: Share
    counts: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    moved: dict[str, tuple[str, int]] = field(default_factory=dict)
    words: dict[str, list[Words]] = field(default_factory=dict)
    start_s: float = 0.0
    step_s: float = 0.0
    over_time: dict[str, list[int]] = field(default_factory=dict)


def read_results(folders: Mapping[Path, Counter[str]], success: str, rng: random.Random) -> Results:
    """Read finished batches.

    Args:
        folders: Their folders, and what their markers count.
        success: The name of images among the error kinds.
        rng: Draws the files with images.
    """
    images = {folder / SUCCESSES: counts[success] for folder, counts in folders.items() if counts[success]}
    errors = {folder / ERRORS: rows for folder, counts in folders.items() if (rows := counts.total() - counts[success])}
    random_order = rng.sample(sorted(images), len(images))
    read_images = _as_many_as_may_be_read(random_order, images)
    read_errors = _as_many_as_may_be_read(sorted(errors, key=lambda path: (-errors[path], path)), errors)
    results = Results(_share(read_images, images), _share(read_errors, errors))
    with _database() as connection:
        _create(connection, "images", read_images, _SUCCESSES)
        _create(connection, "errors", read_errors, _ERRORS)
        results.counts = {name: _counted(connection, sql) for name, sql in _PROPERTIES.items()}
        results.moved = _moved(connection)
        results.words = _words(connection)
        _read_times(connection, results, success)
    return results


def _as_many_as_may_be_read(order: Iterable[Path], rows: Mapping[Path, int]) -> list[Path]:
    chosen: list[Path] = []
    chosen_rows = 0
    for path in order:
        if len(chosen) == MOST_FILES or (chosen and chosen_rows + rows[path] > MOST_ROWS):
            break
        if path.is_file():
            chosen.append(path)
            chosen_rows += rows[path]
    return chosen


def _share(read: Sequence[Path], files: Mapping[Path, int]) -> Share:
    return Share(len(read), len(files), sum(files[path] for path in read), sum(files.values()))


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"memory_limit": "2GiB", "preserve_insertion_order": False}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def _create(
    connection: duckdb.DuckDBPyConnection, table: str, files: Sequence[Path], wanted: Mapping[str, str]
) -> None:
    """A table with the wanted columns, null where files do not have them, and of each row its folder and URL."""
    columns = {"folder": "VARCHAR", "identifier": "VARCHAR", **wanted}
    connection.execute(f"CREATE TEMP TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    if not files:
        return
    is_mixed = len({tuple(pq.read_schema(path).names) for path in {files[0], files[len(files) // 2], files[-1]}}) > 1
    try:
        _fill(connection, table, files, wanted, by_name=is_mixed)
    except duckdb.Error:  # files in between differ, as an earlier version wrote them
        _fill(connection, table, files, wanted, by_name=True)


def _fill(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Path],
    wanted: Mapping[str, str],
    *,
    by_name: bool,
) -> None:
    """Read the files; `by_name` if they have different columns, which takes twice as long."""
    options = f"filename = true, union_by_name = {by_name}, hive_partitioning = false"
    described = files if by_name else files[:1]
    columns = f"DESCRIBE SELECT * FROM read_parquet({file_list(described)}, {options}) LIMIT 0"
    there = {name for name, *_ in connection.execute(columns).fetchall()}
    chosen = [name if name in there else f"NULL AS {name}" for name in ("identifier", *wanted)]
    source = f"read_parquet({file_list(files)}, {options})"
    connection.execute(f"INSERT INTO {table} SELECT {_FOLDER}, {', '.join(chosen)} FROM {source}")


#: Images by a property; sizes by powers of two of the longer side, and megapixels.
_PROPERTIES = {
    "license": "license",
    "source": "source",
    "datasetKey": "datasetKey",
    "original_format": "original_format",
    "longer_side": "CAST(pow(2, floor(log2(greatest(list_max(original_size), 1)))) AS BIGINT)",
    "checksum_ok": "checksum_ok",
}


def _counted(connection: duckdb.DuckDBPyConnection, expression: str) -> list[tuple[str, int]]:
    rows = connection.execute(
        f"SELECT CAST({expression} AS VARCHAR), count(*) FROM images GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_TEXTS}"
    ).fetchall()
    return [(text or "", count) for text, count in rows]


#: Where a row's server is written: in the name of its folder, or, as small servers share one, in its URL.
_PLACE = f"""
CASE folder WHEN 'server_name={POOLED}' THEN regexp_extract(identifier, '^[A-Za-z]+://[^/?#]+') ELSE folder END
"""


def _moved(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, int]]:
    rows = connection.execute(
        f"""
        SELECT server, arg_max(host, images), max(images) FROM (
            SELECT {_PLACE} AS server, {_HOST.format(url="final_url")} AS host, count(*) AS images
            FROM images
            WHERE final_url IS NOT NULL AND final_url != identifier
                AND {_HOST.format(url="final_url")} != {_HOST.format(url="identifier")}
            GROUP BY ALL
        ) GROUP BY server
        """
    ).fetchall()
    moved = ((server_of(folder), host, images) for folder, host, images in rows)
    return {server: (host, images) for server, host, images in moved if host.rpartition(":")[0] != server != host}


def _words(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Words]]:
    rows = connection.execute(
        f"""
        SELECT {_PLACE}, error_kind, http_status, count(*) AS failed,
            mode(left(error_msg, {MOST_CHARACTERS})), left(min(identifier), 500)
        FROM errors GROUP BY ALL ORDER BY failed DESC, 1, 2
        """
    ).fetchall()
    words: dict[str, list[Words]] = {}
    for folder, kind, status, failed, text, url in rows:
        words.setdefault(server_of(folder), []).append(Words(kind or "", status, failed, text or "", url or ""))
    return words


def server_of(place: str) -> str:
    """The server that `_PLACE` names."""
    if place.startswith("server_name="):
        return unquote(place.removeprefix("server_name="))
    try:
        return server_key(place)
    except BadUrlError:
        return place


def _read_times(connection: duckdb.DuckDBPyConnection, results: Results, success: str) -> None:
    every = f"""
        SELECT {literal(success)} AS kind, epoch(fetched_at) AS at_s FROM images WHERE fetched_at IS NOT NULL
        UNION ALL SELECT error_kind, epoch(fetched_at) FROM errors WHERE fetched_at IS NOT NULL
    """
    first_s, last_s = connection.execute(f"SELECT min(at_s), max(at_s) FROM ({every})").fetchall()[0]
    if first_s is None:
        return
    results.start_s, results.step_s = first_s, max((last_s - first_s) / TIME_STEPS, 1e-3)
    rows: Iterable[tuple[Any, ...]] = connection.execute(
        f"""
        SELECT kind, least({TIME_STEPS - 1}, CAST(floor((at_s - {first_s}) / {results.step_s}) AS BIGINT)), count(*)
        FROM ({every}) GROUP BY ALL
        """
    ).fetchall()
    for kind, step, count in rows:
        results.over_time.setdefault(kind or "", [0] * TIME_STEPS)[step] = count
