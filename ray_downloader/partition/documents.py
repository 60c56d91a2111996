"""Rows that name a document (an IIIF manifest or collection) are replaced by the rows of the pictures in it.

Documents are read by a function that the caller passes in, as this room has no network. A document that cannot be read
stays a rejected row, with the reason in its `detail`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from ray_downloader.partition import DocumentReader
from ray_downloader.partition.companion import kept_roles
from ray_downloader.partition.stage import Reading, Staged, stage_pictures
from ray_downloader.sources.dialect import TextRules
from ray_downloader.sources.iiif import MANIFEST_REASON
from ray_downloader.sources.open_table import TableOpener
from ray_downloader.sources.tables import MediaInput
from ray_downloader.sources.unpack import Scratch

#: The reason of a row whose document was read: it no longer counts as a row.
READ = "read"
_SHOWN = 5

_NAMED_SQL = f"""
SELECT identifier FROM staged WHERE reason = '{MANIFEST_REASON}' AND detail IS NULL
GROUP BY identifier ORDER BY min(rowid)
"""
_MARK_SQL = f"""
UPDATE staged SET reason = outcome, detail = problem FROM (
    SELECT row_id, problem, CASE WHEN problem IS NOT NULL THEN '{MANIFEST_REASON}'
        WHEN row_id = min(row_id) OVER (PARTITION BY identifier) THEN '{READ}' ELSE 'repeated' END AS outcome
    FROM (SELECT rowid AS row_id, identifier FROM staged WHERE reason = '{MANIFEST_REASON}' AND detail IS NULL)
    LEFT JOIN problems USING (identifier)) AS marked
WHERE staged.rowid = row_id
"""


@dataclass(frozen=True, slots=True)
class Documents:
    """How documents are read.

    Args:
        read: Reads them.
        scratch: Where the table of their pictures goes.
        report: Called with a sentence about what was read.
    """

    read: DocumentReader
    scratch: Scratch
    report: Callable[[str], None]


def replace_documents(
    connection: duckdb.DuckDBPyConnection,
    readings: Sequence[Reading],
    kept: Sequence[str],
    staged: Staged,
    documents: Documents,
) -> None:
    """Read the documents that staged rows name, and stage their pictures.

    Args:
        readings: The list as it was read; only `dataset=iiif` has documents.
        kept: The columns that are carried along: a picture has those of the row that names its document.
    """
    source = next((one.source for one in readings if "listed" in one.source.columns), None)
    urls = [url for (url,) in connection.sql(_NAMED_SQL).fetchall()] if source else []
    if source is None or not urls:
        return
    target = documents.scratch.new_path("documents.parquet")
    problems = documents.read(urls, target)
    _mark(connection, problems)
    table = TableOpener(TextRules(), documents.scratch).parquet(target, "the documents") if target.exists() else None
    if table is not None:
        stage_pictures(connection, Reading(source, [MediaInput(table)]), kept, staged)
        _inherit(connection, kept)
    for url, problem in list(problems.items())[:_SHOWN]:
        documents.report(f"{url} could not be read: {problem}")
    pictures = connection.sql("SELECT count(*) FROM staged WHERE listed IS NOT NULL AND detail IS NULL").fetchall()
    documents.report(f"manifests: {len(urls) - len(problems)} of {len(urls)} read, {pictures[0][0]} pictures in them")


def _mark(connection: duckdb.DuckDBPyConnection, problems: Mapping[str, str]) -> None:
    """Note of each row that names a document whether that was read."""
    texts = {"identifier": pa.array(problems.keys(), pa.string()), "problem": pa.array(problems.values(), pa.string())}
    connection.register("problems", pa.table(texts))
    connection.execute(_MARK_SQL)
    connection.unregister("problems")


def _inherit(connection: duckdb.DuckDBPyConnection, kept: Sequence[str]) -> None:
    """Give pictures what the row that names their document states and the document does not."""
    names = ["license", "license_from", "title", *kept_roles(kept)]
    values = ", ".join(f"{name} = coalesce(staged.{name}, parent.{name})" for name in names)
    connection.execute(
        f"UPDATE staged SET {values} FROM (SELECT * FROM staged WHERE reason = '{READ}') AS parent"
        " WHERE staged.listed = parent.identifier"
    )
