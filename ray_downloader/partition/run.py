"""The partition stage: list -> staged rows -> servers -> plan -> files below `urls/`, all out of core in DuckDB.

Scratch data (the database, what it spills, unpacked copies) is kept below the run folder and removed at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.partition import DocumentReader
from ray_downloader.partition.batch_plan import PartitionPlan, plan_batches
from ray_downloader.partition.companion import kept_roles
from ray_downloader.partition.database import open_database
from ray_downloader.partition.documents import READ, Documents, replace_documents
from ray_downloader.partition.kept import columns_to_keep
from ray_downloader.partition.license_gate import reject_unwanted_licenses
from ray_downloader.partition.line_numbers import LineNumbers
from ray_downloader.partition.parts import DIVIDED
from ray_downloader.partition.rows import write_rows
from ray_downloader.partition.server_key import USER_INFO
from ray_downloader.partition.servers import name_servers, order_servers
from ray_downloader.partition.stage import Reading, Staged, first_urls, stage_rows
from ray_downloader.partition.summary import PartitionSummary, save_partition_summary
from ray_downloader.run_folder.atomic import PRIVATE, replacing
from ray_downloader.run_folder.guards import refuse_legacy_run
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import REJECTED_SCHEMA, kept_column, url_schema
from ray_downloader.run_folder.small_tables import COMPRESSION, write_small_table
from ray_downloader.sources.choose import UNDECIDED, choose_sources, opening_source, table_names
from ray_downloader.sources.dialect import TextRules
from ray_downloader.sources.inputs import InputReader
from ray_downloader.sources.licenses import license_gate
from ray_downloader.sources.locate import FileFinder
from ray_downloader.sources.tables import MediaInput
from ray_downloader.sources.unpack import Scratch
from ray_downloader.sql import identifier, literal

_SCRATCH = ".partition"
_CHUNK_ROWS = 50_000

#: Ties are broken by source_id, so that the same list yields the same files.
_ACCEPTED_SQL = """
SELECT coalesce(uuid, row_uuid(source_id, identifier)) AS uuid, source_id, identifier, server_name,
    license IS NOT NULL AND source IS NOT NULL AND title IS NOT NULL AS is_license_full, license, source, title,
    creator, mirrors, license_from, checksum, size_bytes{kept}
FROM (
    SELECT staged.*, server_name, place
    FROM staged JOIN origins USING (origin) JOIN places USING (server_name)
    WHERE reason IS NULL ORDER BY place, identifier, source_id)
"""
_REJECTED_SQL = f"""
SELECT identifier, source_id, coalesce(reason, 'bad_url') AS reason, coalesce(name, file) AS file, line, detail,
    file AS path, coalesce(row_number, row) AS row
FROM (SELECT *, rowid AS row FROM staged) LEFT JOIN origins USING (origin) LEFT JOIN files ON file = path
WHERE (reason IS NOT NULL OR server_name IS NULL) AND coalesce(reason, '') NOT IN ('{DIVIDED}', '{READ}')
"""
_MENDED_SQL = f"""
SELECT count(*) FILTER (is_completed AND reason IS NULL), count(*) FILTER (reason = '{DIVIDED}'), count(is_part)
FROM staged
"""
#: Kinds of list that are described in the log.
_MAX_SENTENCES = 10


def run_partition(
    settings: Settings,
    layout: RunLayout,
    report: Callable[[str], None],
    check_first: Callable[[Callable[[], Iterable[str]]], None],
    read_documents: DocumentReader,
) -> PartitionSummary:
    """Run the stage; see `ray_downloader.partition.partition`."""
    refuse_legacy_run(layout)
    with _scratch(layout) as scratch:
        inputs = _open_inputs(settings, layout, scratch, report)
        chosen = choose_sources(settings.dataset, inputs, report)
        _remove_earlier(layout)
        readings = [Reading(source, members) for source, members in chosen.values()]
        tables = [table for one in readings for two in one.inputs for table in (two.media, *two.companions)]
        always = dict.fromkeys(name for one in readings for name in one.source.keeps)
        kept = columns_to_keep(tuple(always), settings.dataset.keep, tables)
        with open_database(scratch.folder) as connection:
            check_first(partial(first_urls, connection, readings[0], settings.dataset.columns))
            staged = stage_rows(connection, readings, settings.dataset.columns, kept)
            replace_documents(connection, readings, kept, staged, Documents(read_documents, scratch, report))
            _report(connection, staged, report)
            if settings.dataset.licenses:
                reject_unwanted_licenses(connection, license_gate(settings.dataset.licenses, report))
            rows_of_server = name_servers(connection)
            is_private = _has_passwords(connection)
            if is_private:
                _close_to_others(layout.urls)
            rejected = _write_rejected(connection, layout, staged.lines)
            accepted = sum(rows_of_server.values())
            _check_any(accepted, rejected, settings.path_to_input)
            parameters = settings.downloader_parameters
            plan = plan_batches(rows_of_server, parameters.batch_size, parameters.pool_below)
            index = _write_accepted(connection, layout, plan, kept)
    write_small_table(layout.servers_table, _servers_table(plan, rows_of_server))
    summary = PartitionSummary(
        accepted + sum(rejected.values()),
        accepted,
        rejected,
        len(plan.servers),
        len(plan.batches),
        ", ".join(chosen),
        tuple(staged.read_as),
    )
    save_partition_summary(layout, summary)
    write_small_table(layout.batches_table, index)
    if is_private:
        _close_to_others(layout.urls)
    return summary


def _has_passwords(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a URL of the list has a user and a password: they are part of its origin."""
    found = f"regexp_matches({{}}, {literal(USER_INFO)})"
    in_mirrors = f"len(list_filter(mirrors, lambda mirror: {found.format('mirror')})) > 0"
    origins = "(SELECT DISTINCT origin FROM staged)"
    queries = f"SELECT 1 FROM {origins} WHERE {found.format('origin')}", f"SELECT 1 FROM staged WHERE {in_mirrors}"
    return any(connection.sql(f"{query} LIMIT 1").fetchall() for query in queries)


def _close_to_others(folder: Path) -> None:
    """Make a folder and the files in it the user's alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.iterdir():
        path.chmod(PRIVATE)


@contextmanager
def _scratch(layout: RunLayout) -> Iterator[Scratch]:
    folder = layout.root / _SCRATCH
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)  # it will hold the whole list, which may have passwords
    try:
        yield Scratch(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open_inputs(
    settings: Settings, layout: RunLayout, scratch: Scratch, report: Callable[[str], None]
) -> list[MediaInput]:
    source, is_undecided = opening_source(settings.dataset), settings.dataset.name in UNDECIDED
    header = settings.downloader_parameters.header
    text = settings.dataset.text
    rules = TextRules(
        has_header=text.header if text.header is not None else header if isinstance(header, bool) else None,
        quoted_tabs=source.quoted_tabs or is_undecided,
        delimiter=text.delimiter,
        quote=text.quote,
        encoding=text.encoding,
        headerless=source.headerless,
    )
    names = table_names(settings.dataset)
    paths = FileFinder(layout.root, report, names).find(settings.path_to_input)
    zips_hold_lists = is_undecided or source.companion is None
    return InputReader(rules, names, source.core is not None, zips_hold_lists, scratch, report).read(paths)


def _remove_earlier(layout: RunLayout) -> None:
    """Remove what an earlier, possibly unfinished, partition left: the marker first."""
    layout.batches_table.unlink(missing_ok=True)
    for path in [*layout.urls.glob("*.parquet"), *layout.urls.glob("*.json"), *layout.urls.glob(".*.tmp")]:
        path.unlink()


def _report(connection: duckdb.DuckDBPyConnection, staged: Staged, report: Callable[[str], None]) -> None:
    """Report how the list was read, and how its cells were corrected."""
    for sentence in staged.read_as[:_MAX_SENTENCES]:
        report(sentence)
    if len(staged.read_as) > _MAX_SENTENCES:
        report(f"{len(staged.read_as) - _MAX_SENTENCES} more kinds of list")
    completed, divided, parts = connection.sql(_MENDED_SQL).fetchall()[0]
    if completed:
        report(f"URLs without a scheme, completed with https://: {completed}")
    if divided:
        report(f"rows with several URLs: {divided}; each URL has a row of its own, {parts} in all")


def _write_rejected(connection: duckdb.DuckDBPyConnection, layout: RunLayout, lines: LineNumbers) -> dict[str, int]:
    """Write `urls/rejected.parquet`; returns the number of rows by reason."""
    rows = connection.sql(_REJECTED_SQL).to_arrow_reader(_CHUNK_ROWS)
    with (
        replacing(layout.rejected_table) as temp,
        pq.ParquetWriter(temp, REJECTED_SCHEMA, compression=COMPRESSION, write_page_checksum=True) as file,
    ):
        for chunk in rows:
            file.write_batch(_with_lines(chunk, lines))
    counts = connection.sql(f"SELECT reason, count(*) FROM ({_REJECTED_SQL}) GROUP BY ALL ORDER BY ALL")
    return dict(counts.fetchall())


def _with_lines(chunk: pa.RecordBatch, lines: LineNumbers) -> pa.RecordBatch:
    files, rows, known = (chunk.column(name).to_pylist() for name in ("path", "row", "line"))
    numbers = pa.array(lines.fill(files, rows, known), pa.int64())
    columns = [numbers if name == "line" else chunk.column(name) for name in REJECTED_SCHEMA.names]
    return pa.RecordBatch.from_arrays(columns, REJECTED_SCHEMA.names).cast(REJECTED_SCHEMA)


def _check_any(accepted: int, rejected: dict[str, int], path_to_input: str) -> None:
    if accepted:
        return
    if not rejected:
        raise UserError(f"path_to_input={path_to_input} has no rows")
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.items())
    raise UserError(f"path_to_input={path_to_input} has no row that can be downloaded; rejected: {reasons}")


def _write_accepted(
    connection: duckdb.DuckDBPyConnection, layout: RunLayout, plan: PartitionPlan, kept: Sequence[str]
) -> pa.Table:
    order_servers(connection, plan)
    connection.execute("SET preserve_insertion_order = true")  # of the sorted rows, through the projection above them
    columns = "".join(
        f", {role} AS {identifier(kept_column(name))}" for role, name in zip(kept_roles(kept), kept, strict=True)
    )
    chunks = connection.sql(_ACCEPTED_SQL.format(kept=columns)).to_arrow_reader(_CHUNK_ROWS)
    schema = url_schema(kept)
    return write_rows(layout.urls, (chunk.cast(schema) for chunk in chunks), plan.batches, schema)


def _servers_table(plan: PartitionPlan, rows_of_server: dict[str, int]) -> pa.Table:
    return pa.table(
        {
            "server_name": pa.array(plan.servers, pa.string()),
            "rows": pa.array([rows_of_server[name] for name in plan.servers], pa.int64()),
            "batches": pa.array(plan.batches_of_server, pa.int32()),
        }
    )
