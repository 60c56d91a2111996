"""Run folders with images and errors, made without a download, for tests of the report."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.config.settings import Settings
from ray_downloader.output.batch_folder import SUCCESS, BatchCounts
from ray_downloader.partition import partition
from ray_downloader.partition.batches import load_batches, read_batch
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import write_marker
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SUCCESS_SCHEMA
from tests.support import stored

STARTED_S = 1_790_000_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list, and what became of it.

    Args:
        url: Its URL.
        kind: Error kind; None for an image.
        columns: Further columns of its result.
        listed: Further columns of the list.
    """

    url: str
    kind: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    listed: Mapping[str, str] = field(default_factory=dict)


def reported_run(folder: Path, rows: Sequence[Listed], unfinished: Sequence[str] = (), **groups: Any) -> RunLayout:
    """A run in which each row has its result.

    Args:
        unfinished: Servers whose batches have no result yet.
        groups: Settings as the configuration spells them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path_to_input = folder / "list.csv"
    names = ["identifier", *dict.fromkeys(name for row in rows for name in row.listed)]
    with path_to_input.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({"identifier": row.url, **row.listed} for row in rows)
    settings = Settings.from_config({"path_to_input": str(path_to_input), "path_to_output": folder / "out", **groups})
    layout = RunLayout.of(settings)
    write_text(layout.settings_file, settings.to_json())
    partition(settings, layout, lambda *_: None)
    by_url = {row.url: row for row in rows}
    for batch in load_batches(layout):
        if batch.server_name not in unfinished:
            _finish(layout.batch_folder(batch.server_name, batch.partition_id), read_batch(layout, batch), by_url)
    return layout


def learned(layout: RunLayout, **states: Mapping[str, Any]) -> None:
    """Write what was learned; `__` in a name stands for a dot."""
    write_text(
        layout.servers_state_file, json.dumps({name.replace("__", "."): state for name, state in states.items()})
    )


def _finish(folder: Path, inputs: pa.Table, by_url: Mapping[str, Listed]) -> None:
    folder.mkdir(parents=True)
    rows = inputs.to_pylist()
    kinds = {number: by_url[row["identifier"]].kind or SUCCESS for number, row in enumerate(rows)}
    images = [_image(row, by_url[row["identifier"]]) for number, row in enumerate(rows) if kinds[number] == SUCCESS]
    errors = [_error(row, by_url[row["identifier"]]) for number, row in enumerate(rows) if kinds[number] != SUCCESS]
    kept = [pa.field(name, pa.string()) for name in ("datasetKey",) if any(name in row for row in images)]
    pq.write_table(pa.Table.from_pylist(images, schema=pa.schema([*SUCCESS_SCHEMA, *kept])), folder / SUCCESSES)
    pq.write_table(pa.Table.from_pylist(errors, schema=ERROR_SCHEMA), folder / ERRORS)
    write_marker(folder, BatchCounts.of([row["server_name"] for row in rows], kinds).to_json())


@lru_cache
def _picture() -> Mapping[str, Any]:
    return stored.row("", stored.received(1))


def _image(row: Mapping[str, Any], listed: Listed) -> dict[str, Any]:
    given = {name: row[name] for name in ("uuid", "source_id", "identifier", "license", "source", "title")}
    times = {"final_url": row["identifier"], "fetched_at": _time(row["uuid"])}
    return {**_picture(), **given, **times, **listed.columns}


def _error(row: Mapping[str, Any], listed: Listed) -> dict[str, Any]:
    given = {name: row[name] for name in ("uuid", "source_id", "identifier")}
    return {**given, "error_kind": listed.kind, "error_code": -1, "fetched_at": _time(row["uuid"]), **listed.columns}


def _time(uuid: str) -> datetime:
    """Within an hour; another one for each row."""
    return datetime.fromtimestamp(STARTED_S + int(uuid[:6], 16) % 3600, timezone.utc)
