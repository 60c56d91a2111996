"""Placeholders: pictures that a server sends for many links, such as "image not available".

`image.placeholders=reject` makes errors of them at the end of a run, when all links of a server can be compared. What
was found is kept, so that further links that show the same picture are recognized however few they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from ray_downloader.errors import ErrorKind
from ray_downloader.output.rejecting import move_to_errors
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_json import parse_json
from ray_downloader.tools.context import finished_batches
from ray_downloader.tools.queries import images_database

#: So many links of a server with the same bytes are a placeholder, not a picture that a list repeats.
LEAST_ALIKE = 10
#: What the message of such an error begins with.
PLACEHOLDER = "placeholder"
_MESSAGE = f"{PLACEHOLDER}: the server sends the same picture for at least {LEAST_ALIKE} links"

#: The table `alike`: pictures by server and hash of their bytes, with the number of links that lead to them.
ALIKE_SQL = f"""
CREATE TEMP TABLE alike AS
SELECT hashsum_original, own_server AS server_name, count(DISTINCT identifier) AS links, min(identifier) AS example
FROM images
WHERE hashsum_original IS NOT NULL GROUP BY ALL HAVING links >= {LEAST_ALIKE}
"""
_ROWS_SQL = """
SELECT file, list(row) FROM images
SEMI JOIN (SELECT hashsum_original, server_name AS own_server FROM alike UNION SELECT * FROM known)
    USING (hashsum_original, own_server)
GROUP BY file ORDER BY file
"""


def reject_placeholders(layout: RunLayout) -> int:
    """Make errors of the placeholders among the images of a run.

    Returns:
        The number of rows.
    """
    batches = finished_batches(layout.images)
    if not batches:
        return 0
    with images_database(layout.schedules, batches) as connection:
        connection.execute(ALIKE_SQL)
        known = _load(layout.placeholders_file)
        connection.register("known", _table(known))
        found = {(server, hashsum) for hashsum, server, *_ in connection.sql("FROM alike").fetchall()}
        rows_of_file = connection.sql(_ROWS_SQL).fetchall()
    if found - known:
        _save(layout.placeholders_file, found | known)
    for file, rows in rows_of_file:
        move_to_errors(Path(file).parent, rows, ErrorKind.NOT_IMAGE, _MESSAGE)
    return sum(len(rows) for _, rows in rows_of_file)


def _table(known: Iterable[tuple[str, str]]) -> pa.Table:
    pairs = sorted(known)
    hashes = pa.array([hashsum for _, hashsum in pairs], pa.string())
    return pa.table({"hashsum_original": hashes, "own_server": pa.array([server for server, _ in pairs], pa.string())})


def _load(path: Path) -> set[tuple[str, str]]:
    try:
        return {(str(server), str(hashsum)) for server, hashsum in parse_json(path.read_text("utf-8"))}
    except (OSError, ValueError, TypeError):
        return set()  # not kept, or damaged: many links are recognized all the same


def _save(path: Path, found: Iterable[tuple[str, str]]) -> None:
    write_text(path, json.dumps(sorted(found), indent=1) + "\n")
