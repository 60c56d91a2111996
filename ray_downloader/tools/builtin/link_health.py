"""`link_health`: which links of a list work, by publisher and server, as CSV and as a page that can be sent to them.

A link is `ok`, `moved` (a redirect led elsewhere), `replaced` (many links have the same bytes: a placeholder), `dead`
(no such server or file), `refused`, `no_image`, or in `trouble` that may pass. `tools_parameters.runs` adds other runs:
what became of a link in the latest of them counts.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import UserError
from ray_downloader.machine import with_home
from ray_downloader.partition.server_key import BadUrlError, RequestUrl, without_user_info
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import ERRORS, RunLayout
from ray_downloader.run_folder.markers import finished_folders
from ray_downloader.run_folder.stored_structure import stored_structure
from ray_downloader.sql import file_list, literal
from ray_downloader.stores.reading import whole_run
from ray_downloader.tools.base import TOOLS, Tool
from ray_downloader.tools.context import finished_batches
from ray_downloader.tools.placeholders import ALIKE_SQL, LEAST_ALIKE, PLACEHOLDER
from ray_downloader.tools.queries import columns_of, images_database, write_csv

STATES = ("ok", "moved", "replaced", "dead", "refused", "no_image", "trouble")
_SHOWN = 500
_SHOWN_EXAMPLES = 20

_STATE_OF_ERROR = f"""
CASE WHEN starts_with(error_msg, '{PLACEHOLDER}:') THEN 'replaced'
     WHEN error_kind IN ('dns', 'connect', 'server_dead') OR http_status IN (404, 410) THEN 'dead'
     WHEN error_kind IN ('http_403_ban', 'http_429', 'server_refused', 'robots', 'opted_out', 'payment_required',
         'ignored_server') OR http_status IN (401, 403, 451) THEN 'refused'
     WHEN error_kind IN ('not_image', 'empty', 'unsupported_format', 'truncated', 'decode_failed', 'too_many_pixels',
         'checksum_mismatch') THEN 'no_image'
     WHEN error_kind IN ('http_4xx', 'redirect_loop', 'bad_url', 'forbidden_address', 'too_large') THEN 'dead'
     ELSE 'trouble' END
"""
_LINKS = """
CREATE TEMP TABLE links AS SELECT * EXCLUDE (run, asked_ms) FROM (
SELECT {publisher} AS publisher, own_server AS server_name, identifier, source_id,
    CASE WHEN alike.links IS NOT NULL THEN 'replaced'
         WHEN final_url <> identifier AND {is_listed} AND final_url <> requested(identifier) THEN 'moved'
         ELSE 'ok' END AS state,
    CASE WHEN alike.links IS NOT NULL THEN 'the same bytes as ' || (alike.links - 1) || ' other links'
         ELSE final_url END AS detail, {run} AS run, {asked_ms} AS asked_ms
FROM images LEFT JOIN alike ON (images.hashsum_original, own_server) = (alike.hashsum_original, alike.server_name)
UNION ALL
SELECT coalesce(listed.publisher, '') AS publisher, failed.server_name, failed.identifier, failed.source_id,
    {state} AS state, concat_ws(': ', error_kind, error_msg) AS detail, failed.run, failed.asked_ms
FROM failed LEFT JOIN listed USING (uuid, identifier)
)
"""
#: Of a link in several runs, the rows of the run that asked for it last.
_LATEST = """
QUALIFY run = arg_max(run, (coalesce(asked_ms, 0), -run)) OVER (PARTITION BY identifier, source_id)
"""
_ASKED_MS = "epoch_ms(fetched_at)"
_COUNTS = ", ".join(f"count(*) FILTER (state = {literal(state)}) AS {state}" for state in STATES)
_TABLE = f"""
SELECT publisher, server_name, count(*) AS links, {_COUNTS} FROM links GROUP BY ALL
ORDER BY count(*) FILTER (state <> 'ok') DESC, publisher, server_name
"""
_PROBLEMS = "SELECT * FROM links WHERE state <> 'ok' ORDER BY publisher, server_name, state, identifier"


@TOOLS.register("link_health")
class LinkHealth(Tool):
    """`link_health.csv`, `links.csv` (each link with a problem), `placeholders.csv` and `index.html`."""

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Query the columns of images, errors and list."""
        folder = self.context.folder
        others = (self._other_run(path) for path in self.context.parameters.runs)
        by_folder = {
            run.root.resolve(): run for run in (self.context.layout, *others)
        }  # one that is named twice is one
        runs = list(by_folder.values())
        batches = [batch for run in runs for batch in finished_batches(run.images)]
        self.context.require_batches()
        with images_database(folder, batches) as connection:
            _create_links(connection, runs)
            publishers = write_csv(connection, _TABLE, folder / "link_health.csv")
            write_csv(connection, _PROBLEMS, folder / "links.csv")
            write_csv(connection, "SELECT * FROM alike ORDER BY links DESC, example", folder / "placeholders.csv")
            states = dict(connection.execute("SELECT state, count(*) FROM links GROUP BY ALL").fetchall())
            write_text(folder / "index.html", _page(connection))
        return {"links": sum(states.values()), "publishers": publishers} | {
            name: states.get(name, 0) for name in STATES
        }

    def _other_run(self, path: str) -> RunLayout:
        folder = with_home(whole_run(path, "tools_parameters.runs")).absolute()
        try:
            structure = stored_structure((folder / "settings.json").read_text("utf-8"))
        except (OSError, ValueError, AttributeError):
            structure = None
        layout = RunLayout(folder, structure or OutputStructure())
        if not layout.images.is_dir():
            raise UserError(f"tools_parameters.runs: {path} is not a run; name the path_to_output of one")
        return layout


def _create_links(connection: duckdb.DuckDBPyConnection, runs: Sequence[RunLayout]) -> None:
    connection.execute(ALIKE_SQL)
    images = columns_of(connection)
    errors = [
        folder / ERRORS for run in runs for folder in finished_folders(run.images, "server_name=*/partition_id=*")
    ]
    urls = [path for run in runs for path in sorted(run.urls.glob("rows-*.parquet"))]
    _create_failed(connection, runs, [path for path in errors if path.exists()])
    _create_listed(connection, urls)
    publisher = "coalesce(datasetKey, '')" if "datasetKey" in images else "''"
    is_listed = "rendition IS NULL" if "rendition" in images else "true"
    connection.create_function("requested", _requested, ["VARCHAR"], "VARCHAR")
    facts = {"run": _run_of("file", runs), "asked_ms": _ASKED_MS if "fetched_at" in images else "0"}
    links = _LINKS.format(publisher=publisher, is_listed=is_listed, state=_STATE_OF_ERROR, **facts)
    connection.execute(links + (_LATEST if len(runs) > 1 else ""))


def _requested(identifier: str) -> str:
    """The URL that is requested for a listed one, as results name it: not every difference is a redirect."""
    try:
        return without_user_info(RequestUrl.parse(identifier).text)
    except BadUrlError:
        return identifier


def _run_of(column: str, runs: Sequence[RunLayout]) -> str:
    """The number of the run in whose folder a file is."""
    cases = [f"WHEN starts_with({column}, {literal(f'{run.images}/')}) THEN {nth}" for nth, run in enumerate(runs)]
    return f"CASE {' '.join(cases)} END"


def _create_failed(connection: duckdb.DuckDBPyConnection, runs: Sequence[RunLayout], files: Sequence[Path]) -> None:
    read = f"read_parquet({file_list(files)}, union_by_name = true, hive_partitioning = false, filename = true)"
    if not files:
        read = "(SELECT NULL AS uuid, '' AS identifier, '' AS source_id, '' AS error_kind, '' AS error_msg,"
        read += " 0 AS http_status, '' AS filename WHERE false)"
    connection.execute(f"CREATE TEMP VIEW failed_rows AS SELECT * FROM {read}")
    folder = r"url_decode(regexp_extract(filename, 'server_name=([^/]+)/', 1))"
    columns = columns_of(connection, "failed_rows")
    own = "server_name" if "server_name" in columns else "NULL"
    asked_ms = _ASKED_MS if "fetched_at" in columns else "0"
    connection.execute(
        f"CREATE TEMP TABLE failed AS SELECT uuid, identifier, source_id, error_kind, error_msg, http_status,"
        f" coalesce({own}, {folder}) AS server_name, {_run_of('filename', runs)} AS run, {asked_ms} AS asked_ms"
        " FROM failed_rows"
    )


def _create_listed(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    connection.execute("CREATE TEMP TABLE listed (uuid VARCHAR, identifier VARCHAR, publisher VARCHAR)")
    if files:
        connection.execute(
            f"CREATE TEMP VIEW rows AS SELECT * FROM read_parquet({file_list(files)}, union_by_name = true)"
        )
        if "keep.datasetKey" in columns_of(connection, "rows"):
            connection.execute(
                'INSERT INTO listed SELECT uuid, identifier, any_value("keep.datasetKey") FROM rows GROUP BY ALL'
            )


def _page(connection: duckdb.DuckDBPyConnection) -> str:
    """A page without scripts or links to other files."""
    rows = connection.execute(f"{_TABLE} LIMIT {_SHOWN}").fetchall()
    examples = connection.execute(
        f"SELECT publisher, server_name, state, identifier, detail FROM links WHERE state <> 'ok'"
        f" QUALIFY row_number() OVER (PARTITION BY publisher, server_name, state ORDER BY identifier) <= 3"
        f" ORDER BY ALL LIMIT {_SHOWN_EXAMPLES * len(STATES)}"
    ).fetchall()
    heads = ("publisher", "server", "links", *(state.replace("_", " ") for state in STATES))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Link health</title>"
        "<style>body{font:15px system-ui;margin:2em}table{border-collapse:collapse}td,th{padding:.2em .7em;"
        "border-bottom:1px solid #ccc;text-align:left}</style><h1>Link health</h1>"
        "<p>Links of a list of images, as they were when they were requested. Moved: a redirect led elsewhere. "
        f"Replaced: at least {LEAST_ALIKE} links of a server have the same bytes. <code>links.csv</code> has each.</p>"
        f"{_html(heads, rows)}<h2>Examples</h2>"
        f"{_html(('publisher', 'server', 'state', 'link', 'what happened'), examples)}</html>\n"
    )


def _html(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["".join(f"<th>{html.escape(name)}" for name in heads)]
    lines += ["".join(f"<td>{html.escape('' if cell is None else str(cell))}" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}' for line in lines)}</table>"
