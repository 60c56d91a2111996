"""A list that changed: how many of its rows a run has already, and a run that gets the new ones.

Both sides are partitions: the run's own `urls/`, and that of the list as it is now, made in a folder of its own. A row
is known by its uuid, which is made of its source_id and its URL (or is the list's own), and its URL. Equal rows count.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ray_downloader.config.settings import DownloaderParameters, Settings
from ray_downloader.partition import DocumentReader, leave_unread, load_partition_summary, partition
from ray_downloader.partition.batch_plan import plan_batches
from ray_downloader.partition.batches import load_batches
from ray_downloader.partition.database import open_database
from ray_downloader.partition.rows import write_rows
from ray_downloader.partition.summary import PartitionSummary, save_partition_summary
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, REJECTED_SCHEMA
from ray_downloader.run_folder.small_tables import write_small_table
from ray_downloader.sql import file_list

#: Folder of the partition of a list that is compared with the run's, or that will replace it.
STAGED = ".partitioned"
#: Folder of the files that will be added to `urls/`.
ADDED = ".added"
_CHUNK_ROWS = 50_000
_COUNTED_SQL = """
SELECT coalesce(sum(least(old, new)), 0), coalesce(sum(greatest(new - old, 0)), 0),
    coalesce(sum(greatest(old - new, 0)), 0)
FROM (SELECT coalesce(before.rows, 0) AS old, coalesce(now.rows, 0) AS new
    FROM (SELECT uuid, identifier, count(*) AS rows FROM run_rows GROUP BY ALL) AS before
    FULL JOIN (SELECT uuid, identifier, count(*) AS rows FROM list_rows GROUP BY ALL) AS now
    USING (uuid, identifier))
"""
_NEW_SQL = """
CREATE TABLE new_rows AS SELECT list_rows.* EXCLUDE (nth) FROM
    (SELECT *, row_number() OVER (PARTITION BY uuid, identifier) AS nth FROM list_rows) AS list_rows
    LEFT JOIN (SELECT uuid, identifier, count(*) AS rows FROM run_rows GROUP BY ALL) AS before USING (uuid, identifier)
    WHERE nth > coalesce(before.rows, 0)
"""
#: Earlier versions wrote no details.
_WITH_DETAIL_SQL = """
SELECT identifier, source_id, reason, file, line, detail FROM
    (SELECT * FROM read_parquet({}) UNION ALL BY NAME SELECT NULL::VARCHAR AS detail WHERE false)
"""
#: Rejected rows of the list that the run does not have as accepted ones, and those of the run that the list lacks.
_REJECTED_SQL = """
SELECT * FROM list_rejected AS one WHERE NOT EXISTS (SELECT 1 FROM run_rows AS row
    WHERE row.identifier = one.identifier AND row.source_id IS NOT DISTINCT FROM one.source_id)
UNION ALL
SELECT * FROM run_rejected AS one WHERE
    NOT EXISTS (SELECT 1 FROM list_rejected AS row WHERE row.identifier IS NOT DISTINCT FROM one.identifier
        AND row.source_id IS NOT DISTINCT FROM one.source_id)
    AND NOT EXISTS (SELECT 1 FROM list_rows AS row
        WHERE row.identifier = one.identifier AND row.source_id IS NOT DISTINCT FROM one.source_id)
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the rows of a list compare with those of a run.

    Args:
        same: Rows of both.
        new: Rows that only the list has.
        gone: Rows that only the run has.
        listed: All rows of the list, also rejected ones.
    """

    same: int
    new: int
    gone: int
    listed: int

    @property
    def is_equal(self) -> bool:
        """Whether both have the same rows."""
        return not (self.new or self.gone)

    def __str__(self) -> str:
        return f"{self.same} rows are the same, {self.new} are new, {self.gone} are gone"


@contextmanager
def partitioned(
    settings: Settings,
    layout: RunLayout,
    report: Callable[[str], None],
    read_documents: DocumentReader = leave_unread,
) -> Iterator[RunLayout]:
    """The list as it is now, partitioned into a folder of its own, which is removed unless it was moved.

    Raises:
        UserError: As `partition`.
    """
    staged = beside(layout, STAGED)
    try:
        shutil.rmtree(staged.urls, ignore_errors=True)
        partition(settings, staged, report, read_documents=read_documents)
        yield staged
    finally:
        shutil.rmtree(staged.urls, ignore_errors=True)


def beside(layout: RunLayout, urls: str) -> RunLayout:
    """The same run folder with another folder of URLs."""
    return replace(layout, structure=layout.structure.model_copy(update={"urls_folder": urls}))


def compare(run: RunLayout, listed: RunLayout) -> Comparison:
    """Count rows.

    Args:
        run: The run.
        listed: What `partitioned` gave.
    """
    with _both(run, listed) as connection:
        same, new, gone = map(int, connection.sql(_COUNTED_SQL).fetchall()[0])
    return Comparison(same, new, gone, load_partition_summary(listed).input_rows)


def added_rows(run: RunLayout, listed: RunLayout, parameters: DownloaderParameters) -> dict[str, str]:
    """Make the files of a run that also has the new rows of the list, in batches of their own.

    Returns:
        Where each file is and where it goes, relative to the run folder; the index comes last.
    """
    added = beside(run, ADDED)
    shutil.rmtree(added.urls, ignore_errors=True)
    added.urls.mkdir()
    with _both(run, listed) as connection:
        connection.execute(_NEW_SQL)
        rejected = connection.sql(_REJECTED_SQL).to_arrow_table().cast(REJECTED_SCHEMA)
        write_small_table(added.rejected_table, rejected)
        index, servers = _write_new_rows(connection, run, added, parameters)
    write_small_table(added.servers_table, servers)
    before = load_partition_summary(listed)
    accepted = sum(index.column("rows").to_pylist())
    save_partition_summary(
        added,
        PartitionSummary(
            accepted + rejected.num_rows,
            accepted,
            dict(sorted(Counter(rejected.column("reason").to_pylist()).items())),
            servers.num_rows,
            index.num_rows,
            before.dataset,
            before.read_as,
        ),
    )
    write_small_table(added.batches_table, index)
    names = sorted((path.name for path in added.urls.iterdir()), key=lambda name: name == added.batches_table.name)
    return {f"{ADDED}/{name}": f"{run.structure.urls_folder}/{name}" for name in names}


def _write_new_rows(
    connection: duckdb.DuckDBPyConnection, run: RunLayout, added: RunLayout, parameters: DownloaderParameters
) -> tuple[pa.Table, pa.Table]:
    """Write the new rows, and return the index of all batches, and the rows and batches of all servers."""
    rows_of_server = dict(connection.sql("SELECT server_name, count(*) FROM new_rows GROUP BY ALL").fetchall())
    plan = plan_batches(rows_of_server, parameters.batch_size, parameters.pool_below)
    places = pa.table({"server_name": pa.array(plan.servers, pa.string()), "place": range(len(plan.servers))})
    connection.register("new_places", places)
    connection.execute("SET preserve_insertion_order = true")
    chunks = connection.sql(
        "SELECT new_rows.* FROM new_rows JOIN new_places USING (server_name) ORDER BY place, identifier, source_id"
    ).to_arrow_reader(_CHUNK_ROWS)
    schema = pq.read_schema(next(run_files(beside(run, STAGED)))).remove_metadata()
    ordered = (chunk.select(schema.names).cast(schema) for chunk in chunks)
    index = write_rows(added.urls, ordered, plan.batches, schema)
    return _joined_index(run, added, index), _joined_servers(run, plan.servers, plan.batches_of_server, rows_of_server)


def _joined_index(run: RunLayout, added: RunLayout, index: pa.Table) -> pa.Table:
    """The run's batches and then the new ones, whose numbers and files follow on from theirs."""
    before = pq.read_table(run.batches_table, schema=BATCH_SCHEMA)
    times = 1 + len({name.split("-")[1] for name in before.column("file").to_pylist() if name.startswith("added-")})
    for path in added.urls.glob("rows-*.parquet"):
        path.rename(path.with_name(f"added-{times}-{path.name}"))
    next_id: Counter[str] = Counter()
    taken = (before.column(name).to_pylist() for name in ("server_name", "partition_id"))
    for server, partition_id in zip(*taken, strict=True):
        next_id[server] = max(next_id[server], partition_id + 1)
    columns = {name: index.column(name) for name in index.schema.names}
    servers = columns["server_name"].to_pylist()
    columns["batch_id"] = pc.add(columns["batch_id"], (pc.max(before.column("batch_id")).as_py() or 0) + 1)
    columns["partition_id"] = pa.array(
        [number + next_id[server] for number, server in zip(columns["partition_id"].to_pylist(), servers, strict=True)],
        pa.int32(),
    )
    columns["file"] = pa.array([f"added-{times}-{name}" for name in columns["file"].to_pylist()], pa.string())
    return pa.concat_tables([before, pa.table(columns).select(BATCH_SCHEMA.names).cast(BATCH_SCHEMA)])


def _joined_servers(
    run: RunLayout, servers: tuple[str, ...], batches: tuple[int, ...], rows_of_server: dict[str, int]
) -> pa.Table:
    before = pq.read_table(run.servers_table)
    names, rows, numbers = (before.column(name).to_pylist() for name in ("server_name", "rows", "batches"))
    all_rows: Counter[str] = Counter(dict(zip(names, rows, strict=True)))
    all_batches: Counter[str] = Counter(dict(zip(names, numbers, strict=True)))
    all_rows.update(rows_of_server)
    all_batches.update(dict(zip(servers, batches, strict=True)))
    ordered = list(dict.fromkeys([*names, *servers]))
    columns = [ordered, [all_rows[name] for name in ordered], [all_batches[name] for name in ordered]]
    return pa.Table.from_arrays(
        [pa.array(values, before.schema.field(at).type) for at, values in enumerate(columns)], schema=before.schema
    )


@contextmanager
def _both(run: RunLayout, listed: RunLayout) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that sees the rows of both."""
    with open_database(_scratch(listed)) as connection:
        for name, layout in (("run", run), ("list", listed)):
            files = file_list(run_files(layout))
            connection.execute(f"CREATE VIEW {name}_rows AS SELECT * FROM read_parquet({files}, union_by_name = true)")
            rejected = file_list([layout.rejected_table])
            connection.execute(f"CREATE VIEW {name}_rejected AS {_WITH_DETAIL_SQL.format(rejected)}")
        yield connection


def _scratch(listed: RunLayout) -> Path:
    folder = listed.urls / ".scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def run_files(layout: RunLayout) -> Iterator[Path]:
    """The files with the rows of the run's batches."""
    return (layout.urls / name for name in dict.fromkeys(batch.file for batch in load_batches(layout)))
