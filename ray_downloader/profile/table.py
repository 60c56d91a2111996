"""`profiles.csv`: what was learned about each server, replaced as a whole; and the part files of running ranks.

A rank appends each finished profile to a part file of its own, so that a rank that is killed loses one server and not
the stage; the next plan merges the parts into the table. Columns are those of `estimate.ServerProfile`; the first five
are those of distributed-downloader, whose tables are read as well. No MPI here: the download reads this table.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from ray_downloader.csv_cells import plain_cell, safe_cell
from ray_downloader.errors import UserError
from ray_downloader.profile.estimate import ServerProfile
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_json import parse_json

Row = Mapping[str, str]

COLUMNS = tuple(field.name for field in fields(ServerProfile))
#: Note for a server that was too small to be probed; it is in the table with the default rate.
NOT_PROBED = "few rows: not probed, default rate"
_REQUIRED = ("server_name", "rate_limit")


@dataclass(frozen=True, slots=True)
class ProfiledWait:
    """Delays that one server demanded of the probe, and that the download has to keep as well.

    Args:
        crawl_delay_s: Time between requests.
        retry_at_unix_s: When a `Retry-After` ends.
    """

    crawl_delay_s: float | None = None
    retry_at_unix_s: float | None = None


def load_profiled_rates(layout: RunLayout) -> dict[str, float]:
    """Requests/s by server, for those that a profile gave a rate; empty before the profile stage.

    A server that was not probed has the default rate in the table, but no rate of its own.

    Raises:
        UserError: The table lacks a column, or a rate is not a positive number.
    """
    return {
        name: _rate(layout.profiles_table, name, row["rate_limit"])
        for name, row in load_rows(layout).items()
        if row["rate_limit"] and row["note"] != NOT_PROBED
    }


def load_profiled_sizes(layout: RunLayout) -> dict[str, int]:
    """Median size of the pictures that the probe received, by server.

    Raises:
        UserError: The table lacks a column.
    """
    sizes = {name: row.get("size_median_bytes", "") for name, row in load_rows(layout).items()}
    return {name: int(text) for name, text in sizes.items() if text and text.isdecimal()}


def load_profiled_waits(layout: RunLayout) -> dict[str, ProfiledWait]:
    """Delays that servers demanded, by server; fields that cannot be parsed are ignored.

    Raises:
        UserError: The table lacks a column.
    """
    waits = {
        name: ProfiledWait(_seconds(row["crawl_delay_s"]), _seconds(row["retry_at_unix_s"]))
        for name, row in load_rows(layout).items()
    }
    return {name: wait for name, wait in waits.items() if wait != ProfiledWait()}


def load_rows(layout: RunLayout) -> dict[str, Row]:
    """The lines of the table by server, as text; empty if there is no table yet.

    Raises:
        UserError: The table lacks a column.
    """
    path = layout.profiles_table
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        try:
            missing = [column for column in _REQUIRED if column not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path} has no column {missing[0]!r}; delete the file to profile the servers again")
            rows = [{name: plain_cell(row.get(name) or "") for name in COLUMNS} for row in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{path} is not a table ({error}); delete the file to profile the servers again") from None
    return {row["server_name"]: row for row in rows}


def row_of(profile: ServerProfile) -> Row:
    """The profile as the table spells it: a missing value is an empty field, numbers have at most six digits."""
    return {name: _text(getattr(profile, name)) for name in COLUMNS}


def save_rows(layout: RunLayout, rows: Iterable[Row]) -> None:
    """Replace the table, atomically; sorted by server."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=lambda row: row["server_name"]):
        writer.writerow({name: safe_cell(cell) for name, cell in row.items()})
    write_text(layout.profiles_table, text.getvalue())


def append_part(layout: RunLayout, rank: int, row: Row) -> None:
    """Append one finished profile to the part file of this rank."""
    folder = _parts_folder(layout)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"rank-{rank:05d}.jsonl").open("a", encoding="utf-8") as part:
        part.write(json.dumps(row) + "\n")


def fold_parts(layout: RunLayout) -> int:
    """Merge the parts of a world that has ended into the table, and remove them.

    Returns:
        How many profiles were in the parts.
    """
    rows = {row["server_name"]: row for part in _parts(layout) for row in _whole_lines(part)}
    if rows:
        save_rows(layout, (load_rows(layout) | rows).values())
    drop_parts(layout)
    return len(rows)


def drop_parts(layout: RunLayout) -> None:
    """Remove the parts: the table contains what was in them."""
    for part in _parts(layout):
        part.unlink(missing_ok=True)


def _parts(layout: RunLayout) -> list[Path]:
    return sorted(_parts_folder(layout).glob("*.jsonl"))


def _parts_folder(layout: RunLayout) -> Path:
    return layout.profile_parts


def _whole_lines(part: Path) -> Iterable[Row]:
    """The rows of a part; a line may be torn if the rank was killed, or damaged: its server is profiled again."""
    for line in part.read_text("utf-8", "replace").splitlines():
        with suppress(ValueError):
            row: Row = parse_json(line)
            if isinstance(row, dict) and row.keys() == set(COLUMNS):
                yield row


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds > 0 and math.isfinite(seconds) else None


def _rate(path: Path, server_name: str, text: str) -> float:
    try:
        rate_rps = float(text)
    except ValueError:
        rate_rps = math.nan
    if not (rate_rps > 0 and math.isfinite(rate_rps)):
        raise UserError(f"{path}: rate_limit of {server_name} is {text!r}; write requests per second, such as 2.5")
    return rate_rps
