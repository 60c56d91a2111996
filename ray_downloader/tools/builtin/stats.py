"""`stats`: counts images by server, format, licence and size, as JSON, Markdown and, with matplotlib, plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ray_downloader.run_folder.atomic import replacing, write_text
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.tools.base import TOOLS, Tool
from ray_downloader.tools.queries import columns_of, images_database

#: Number of rows in a table of the Markdown and in a plot; the JSON has all.
SHOWN_SERVERS = 25

#: By powers of two: 256 to 511 pixels count as 256.
_SIDE = "CAST(pow(2, floor(log2(greatest(list_max(original_size), 1)))) AS BIGINT)"

#: Small servers share the folder `pooled`; in files of earlier versions only the URL says which one an image came from.
_SERVER = f"""
CASE own_server WHEN '{POOLED}' THEN regexp_extract(lower(identifier), '^[a-z]+://(?:[^/?#@]*@)?([^/?#]+)', 1)
ELSE own_server END
"""

_COUNTS = {
    "by_server": _SERVER,
    "by_original_format": "original_format",
    "by_stored_format": "image_format",
    "by_license": "coalesce(license, '(none)')",
    "by_longer_side": _SIDE,
}
#: Columns that files of the legacy project do not have.
_NEEDED = {"by_original_format": "original_format", "by_stored_format": "image_format"}

_TOTALS = f"""
SELECT count(*) AS images, count(DISTINCT hashsum_original) AS distinct_images, count(DISTINCT {_SERVER}) AS servers,
    count(*) FILTER (is_license_full) AS with_full_license,
    round(avg(original_size[1]::BIGINT * original_size[2]) / 1e6, 3) AS mean_megapixels
FROM images
"""


@TOOLS.register("stats")
class Stats(Tool):
    """Counts by column; the image column is not read."""

    def finish(self, counts: Mapping[str, int]) -> Mapping[str, Any]:
        """Write `stats.json`, `stats.md` and, if matplotlib is installed, a PNG per table."""
        folder = self.context.folder
        with images_database(folder, self.context.batches) as connection:
            there = columns_of(connection)
            cursor = connection.execute(_TOTALS)
            names = [column[0] for column in cursor.description]
            totals = dict(zip(names, cursor.fetchall()[0], strict=True))
            tables = {
                name: connection.execute(_count_sql(expression)).fetchall()
                for name, expression in _COUNTS.items()
                if _NEEDED.get(name, "uuid") in there
            }
        document = {**totals, **{name: {str(key): rows for key, rows in table} for name, table in tables.items()}}
        write_text(folder / "stats.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        write_text(folder / "stats.md", _markdown(totals, tables))
        return {**totals, "plots": _plots(folder, tables)}


def _count_sql(expression: str) -> str:
    order = "1" if expression is _SIDE else "2 DESC, 1"
    return f"SELECT {expression}, count(*) FROM images GROUP BY 1 ORDER BY {order}"


def _markdown(totals: Mapping[str, Any], tables: Mapping[str, Sequence[tuple[Any, int]]]) -> str:
    lines = ["# Images", "", *(f"- {name.replace('_', ' ')}: {value}" for name, value in totals.items())]
    for name, table in tables.items():
        lines += ["", f"## {name.replace('_', ' ').capitalize()}", "", "| | images |", "|---|---:|"]
        lines += [f"| {str(key).replace('|', '&#124;')} | {rows} |" for key, rows in table[:SHOWN_SERVERS]]
        if len(table) > SHOWN_SERVERS:
            rest = sum(rows for _, rows in table[SHOWN_SERVERS:])
            lines.append(f"| ({len(table) - SHOWN_SERVERS} more, see stats.json) | {rest} |")
    return "\n".join(lines) + "\n"


def _plots(folder: Path, tables: Mapping[str, Sequence[tuple[Any, int]]]) -> str:
    """Draw a bar chart of each table.

    Returns:
        What was drawn, or what has to be installed for it.
    """
    if find_spec("matplotlib") is None:
        return "none, as matplotlib is not installed: pip install 'ray-downloader[plots]'"
    from matplotlib.figure import Figure  # noqa: PLC0415 (an extra, loaded only if it is installed)

    for name, table in tables.items():
        shown = table[:SHOWN_SERVERS]
        figure = Figure(figsize=(8, 1.2 + 0.28 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        axes.barh([str(key)[:60] for key, _ in shown], [rows for _, rows in shown])
        axes.invert_yaxis()
        axes.set(title=name.replace("_", " "), xlabel="images")
        with replacing(folder / f"{name}.png") as temp:
            figure.savefig(temp, format="png", dpi=120)
    return ", ".join(f"{name}.png" for name in tables)
