"""Which rows of a list earlier runs have (`base=`): `urls/base.parquet`, `urls/base.json`, and `vanished.csv`.

A row is known by its source_id and its URL, as results name it. Rows are joined by a hash of both, so that the tables
of 10 M rows stay small; whoever takes a picture compares the names themselves (`output/reused.py`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.config.settings import Settings
from ray_downloader.output.batch_folder import BatchFolder
from ray_downloader.output.parquet import picture_notes
from ray_downloader.partition.base_links import first_rows
from ray_downloader.partition.batches import load_batches
from ray_downloader.partition.database import open_database
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.base_runs import BasePlan, checksum_of_batches, save_base_plan
from ray_downloader.run_folder.identity import changed_keys, picture_keys
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import find_marker
from ray_downloader.sql import file_list, safe_columns

_SCRATCH = ".base"
#: Rows of `base.parquet` per row group: whoever wants those of one batch reads one or two groups.
_GROUP_ROWS = 65_536
#: A place in the earlier runs: the number of the file in the upper half, that of the row in the lower one.
_PLACE_SQL = "(nth::BIGINT << 32) | file_row_number"
#: As `server_key.without_user_info` shows a URL.
_KEY_SQL = r"""md5_number(coalesce(source_id, '') || chr(31) || CASE WHEN contains(identifier, '@')
    THEN regexp_replace(identifier, '^(\s*https?:[/\\]*)[^/?#\\]*@', '\1', 'i') ELSE identifier END)"""
_WANTED_SQL = """
CREATE TABLE wanted AS SELECT {key} AS key, first + file_row_number AS number, server_name, checksum, size_bytes
FROM (SELECT * FROM read_parquet({files}, union_by_name = true, filename = true, file_row_number = true)
    UNION ALL BY NAME SELECT NULL::VARCHAR AS checksum, NULL::BIGINT AS size_bytes WHERE false)
JOIN places USING (filename)
"""
_HAD_SQL = """
CREATE TABLE had AS SELECT key, min(place) AS any_place, min(place) FILTER (is_usable) AS place,
    min_by(hashsum_original, place) FILTER (is_usable) AS md5
FROM (SELECT {key} AS key, {place} AS place, is_picture AND ({usable}) AS is_usable, {md5} AS hashsum_original
    FROM ({rows}) JOIN tables USING (filename))
GROUP BY key
"""
#: The columns that earlier versions may not have written are null there.
_ROWS_SQL = """
SELECT * FROM read_parquet({files}, union_by_name = true, filename = true, file_row_number = true)
UNION ALL BY NAME
SELECT NULL::VARCHAR AS uuid, NULL::VARCHAR AS source_id, NULL::VARCHAR AS usage, NULL::VARCHAR AS hashsum_original,
    NULL::UINTEGER[] AS original_size, NULL::VARCHAR AS error_kind WHERE false
"""
#: Rows for which the list states what the bytes are like are taken only if that is known to be true.
_LINKED_SQL = """
CREATE TABLE linked AS SELECT number, server_name, place FROM wanted JOIN had USING (key)
WHERE place IS NOT NULL AND size_bytes IS NULL AND coalesce(checksum = 'md5:' || md5, checksum IS NULL)
"""
_WRITTEN_SQL = "SELECT number, (place >> 32)::INTEGER AS file, (place & 4294967295)::INTEGER AS row FROM linked"
_VANISHED_SQL = """
SELECT source_id, identifier, uuid, coalesce(error_kind, 'success') AS was, run AS base
FROM (SELECT *, {place} AS place FROM ({rows}) JOIN tables USING (filename))
JOIN (SELECT any_place AS place FROM had ANTI JOIN wanted USING (key)) USING (place) ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of an earlier run."""

    path: Path
    run: int
    is_picture: bool


def plan_base(settings: Settings, layout: RunLayout, bases: Sequence[RunLayout]) -> BasePlan:
    """Find out which rows of the run earlier runs have, and write that down.

    Args:
        settings: The run's settings.
        layout: A run that is partitioned.
        bases: The earlier runs; of several that have a row, the first counts.

    Raises:
        UserError: There is not enough memory or disk, or a table of an earlier run cannot be read.
    """
    tables = list(_tables(settings, bases))
    scratch = layout.root / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)  # lists may have passwords
    layout.base_file.unlink(missing_ok=True)
    try:
        with open_database(scratch) as connection:
            _read(connection, settings, layout, tables)
            rows = dict(connection.sql("SELECT server_name, count(*) FROM linked GROUP BY ALL ORDER BY ALL").fetchall())
            with replacing(layout.base_table) as temp:
                connection.sql(f"{_WRITTEN_SQL} ORDER BY number").write_parquet(
                    str(temp), compression="zstd", row_group_size=_GROUP_ROWS
                )
            vanished = _write_vanished(connection, layout, tables)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    files = tuple((table.run, str(table.path.relative_to(bases[table.run].root))) for table in tables)
    plan = BasePlan(tuple(settings.base), checksum_of_batches(layout), files, rows, vanished, refetch=settings.refetch)
    save_base_plan(layout, plan)
    return plan


def _tables(settings: Settings, bases: Sequence[RunLayout]) -> Iterator[_Table]:
    """The finished tables of earlier runs that are as they were written and whose pictures are ours."""
    for run, base in enumerate(bases):
        for folder in sorted(base.images.glob("server_name=*/partition_id=*")):
            if find_marker(folder) is None:
                continue
            damaged = " ".join(BatchFolder(folder).problems())
            for name in (SUCCESSES, ERRORS):
                path = folder / name
                if str(path) not in damaged and (notes := _notes(path)) is not None:
                    yield _Table(path, run, name == SUCCESSES and _are_alike(settings, notes))


def _notes(path: Path) -> list[str] | None:
    """What a table says about its pictures; None if it cannot be read."""
    try:
        return picture_notes(pq.read_metadata(path).metadata)
    except (pa.ArrowException, OSError, ValueError):
        return None


def _are_alike(settings: Settings, notes: Sequence[str]) -> bool:
    """Whether all pictures of a table are of the kind that this run stores: `image.changed=new` mixes them."""
    return not any(changed_keys(json.loads(note), picture_keys(settings)) for note in notes)


def _read(
    connection: duckdb.DuckDBPyConnection, settings: Settings, layout: RunLayout, tables: Sequence[_Table]
) -> None:
    """Fill `wanted`, `had` and `linked`."""
    batches = load_batches(layout)
    firsts: dict[str, int] = {}
    for batch, first in zip(batches, first_rows(batches), strict=True):
        firsts.setdefault(batch.file, first)
    paths = [layout.urls / name for name in firsts]
    places = pa.table({"filename": list(map(str, paths)), "first": pa.array(firsts.values(), pa.int64())})
    connection.register("places", places)
    connection.execute(_WANTED_SQL.format(key=_KEY_SQL, files=file_list(paths)))
    known = {
        "filename": [str(table.path) for table in tables],
        "nth": pa.array(range(len(tables)), pa.int64()),
        "is_picture": pa.array([table.is_picture for table in tables], pa.bool_()),
        "run": pa.array([settings.base[table.run] for table in tables], pa.string()),
    }
    connection.register("tables", pa.table(known))
    if not tables:
        connection.execute("CREATE TABLE had (key UHUGEINT, any_place BIGINT, place BIGINT, md5 VARCHAR)")
    else:
        states_bytes = connection.sql("SELECT 1 FROM wanted WHERE checksum IS NOT NULL LIMIT 1").fetchall()
        connection.execute(
            _HAD_SQL.format(
                key=_KEY_SQL,
                place=_PLACE_SQL,
                usable=_usable_sql(settings),
                md5="hashsum_original" if states_bytes else "NULL::VARCHAR",
                rows=_ROWS_SQL.format(files=file_list(table.path for table in tables)),
            )
        )
    connection.execute(_LINKED_SQL)


def _usable_sql(settings: Settings) -> str:
    """What an earlier picture must be like so that this run would have stored it, too."""
    conditions = ["true"]
    if settings.politeness.opt_out == "strict":  # what was only recorded then decides now, so the server is asked
        conditions.append("usage IS NULL")
    image = settings.image
    if image.min_size is not None:
        conditions.append(f"list_min(original_size) >= {image.min_size}")
    if image.max_aspect_ratio is not None:
        conditions.append(f"list_max(original_size) <= {image.max_aspect_ratio} * list_min(original_size)")
    return " AND ".join(conditions)


def _write_vanished(connection: duckdb.DuckDBPyConnection, layout: RunLayout, tables: Sequence[_Table]) -> int:
    """Write `vanished.csv`; returns the number of its rows."""
    (count,) = connection.sql("SELECT count(*) FROM had ANTI JOIN wanted USING (key)").fetchall()[0]
    if not count:
        layout.vanished_file.unlink(missing_ok=True)
        return 0
    rows = _ROWS_SQL.format(files=file_list(table.path for table in tables))
    with replacing(layout.vanished_file) as temp:
        vanished = connection.sql(_VANISHED_SQL.format(place=_PLACE_SQL, rows=rows))
        columns = zip(vanished.columns, map(str, vanished.types), strict=True)
        vanished.project(safe_columns(columns)).write_csv(str(temp))
    return int(count)
