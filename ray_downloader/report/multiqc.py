"""The same figures for MultiQC, which collects `*_mqc.json` of many runs into one report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: MultiQC draws all rows of a table at once.
MOST_SERVERS = 500


def general_statistics(document: Mapping[str, Any]) -> dict[str, Any]:
    """A line for MultiQC's table of general statistics."""
    totals = document["totals"]
    return {
        "id": "ray_downloader",
        "plot_type": "generalstats",
        "pconfig": [
            {"images": {"title": "Images", "format": "{:,.0f}", "scale": "Greens"}},
            {"errors": {"title": "Errors", "format": "{:,.0f}", "scale": "Reds"}},
            {"rejected": {"title": "Rejected", "format": "{:,.0f}", "scale": "Oranges"}},
            {"left": {"title": "Left", "format": "{:,.0f}", "scale": "Blues"}},
        ],
        "data": {document["name"]: {key: totals[key] for key in ("images", "errors", "rejected", "left")}},
    }


def server_table(document: Mapping[str, Any]) -> dict[str, Any]:
    """A table by server, those with the most rows first."""
    columns = ("rows", "images", "errors", "left", "rate_rps", "requests", "refusals")
    shown = document["servers"][:MOST_SERVERS]
    return {
        "id": "ray_downloader_servers",
        "section_name": "ray_downloader: servers",
        "description": f"{len(shown)} of {document['totals']['servers']} servers of {document['name']}",
        "plot_type": "table",
        "pconfig": {"id": "ray_downloader_servers_table", "title": "ray_downloader: servers"},
        "headers": {column: {"title": column.replace("_", " ")} for column in columns},
        "data": {line[0]: dict(zip(columns, line[1:], strict=False)) for line in shown},
    }


def error_bars(document: Mapping[str, Any]) -> dict[str, Any]:
    """Rows by how they ended, as bars."""
    totals = document["totals"]
    outcomes = {"images": totals["images"], **dict(document["errors"]), "rejected": totals["rejected"]}
    return {
        "id": "ray_downloader_outcomes",
        "section_name": "ray_downloader: outcomes",
        "plot_type": "bargraph",
        "pconfig": {"id": "ray_downloader_outcomes_plot", "title": "ray_downloader: rows by outcome", "ylab": "Rows"},
        "data": {document["name"]: {**outcomes, "left": totals["left"]}},
    }
