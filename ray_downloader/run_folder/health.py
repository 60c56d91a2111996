"""Looks at the small files of a run folder before a run relies on them.

A damaged file is named, set aside under `damaged-<name>` for whoever wants to look at it, and made anew: by its stage,
or by what the run learns again. After that nothing can tell it from a file that never was.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import damaged_lines
from ray_downloader.run_folder.server_states import SAVED_AT


def set_damaged_aside(layout: RunLayout) -> Iterator[str]:
    """Set aside what is damaged, apart from the tables of URLs; a sentence about each."""
    for path, check, consequence in _checks(layout):
        problem = _problem(path, check)
        if problem:
            set_aside(path)
            yield f"{path} is damaged ({problem}): {consequence}"
    bad = damaged_lines(layout.orders_file)
    if bad:
        lines = ", ".join(map(str, bad[:5])) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        yield f"{layout.orders_file} is damaged (line {lines}): these orders are left out, the others apply"


def damaged_url_tables(layout: RunLayout) -> Iterator[str]:
    """What is wrong with the tables of URLs, in sentences; only their ends are read."""
    if not layout.batches_table.exists():
        return
    summary = layout.partition_summary_file
    problem = _problem(summary, _is_object) if summary.exists() else "it is missing"
    if problem:
        yield f"{summary} is damaged ({problem})"
    groups: dict[str, int] = {}
    for path in (layout.batches_table, layout.servers_table, layout.rejected_table):
        problem = _problem(path, _is_table) if path.exists() else "it is missing"
        if problem:
            yield f"{path} is damaged ({problem})"
        elif path == layout.batches_table:
            table = pq.read_table(path, columns=["file", "row_group"])
            for name, group in zip(table["file"].to_pylist(), table["row_group"].to_pylist(), strict=True):
                groups[name] = max(groups.get(name, 0), group + 1)
    for name, count in groups.items():
        path = layout.urls / name
        problem = _problem(path, partial(_has_groups, count=count)) if path.exists() else "it is missing"
        if problem:
            yield f"{path} is damaged ({problem})"


def set_aside(path: Path) -> None:
    """Rename a damaged file, so that it is not there any more."""
    with suppress(FileNotFoundError):
        path.replace(path.with_name(f"damaged-{path.name}"))


Check = Callable[[Path], None]


def _checks(layout: RunLayout) -> list[tuple[Path, Check, str]]:
    anew = "it is written anew"
    return [
        (layout.settings_file, _is_object, anew),
        (layout.run_file, _is_object, "the list is compared with the rows of the run"),
        (layout.checkpoint_file, _is_object, anew),
        (layout.progress_file, _is_object, anew),
        (layout.summary_file, _is_object, anew),
        (layout.reset_file, _is_object, "it only tells a requeued job that it was reset before"),
        (layout.retry_order_file, _is_object, "errors are retried only if retry_errors is given again"),
        (layout.servers_state_file, _is_states, "what was learned about servers is learned again"),
        (layout.profiles_table, _is_profiles, "the servers are profiled again"),
    ]


def _problem(path: Path, check: Check) -> str:
    """Why the file is not usable; empty if it is, or if there is none."""
    try:
        check(path)
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        return "it is not text"
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, pa.ArrowException, OSError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""


def _is_object(path: Path) -> None:
    text = path.read_text("utf-8")
    if not text.strip():
        raise ValueError("it is empty")
    if not isinstance(json.loads(text), dict):
        raise ValueError("it is not a JSON object")


def _is_states(path: Path) -> None:
    _is_object(path)
    for name, state in json.loads(path.read_text("utf-8")).items():
        if not isinstance(state, dict) or not isinstance(state.get(SAVED_AT), int | float):
            raise ValueError(f"the entry of {name} is not a state")


def _is_profiles(path: Path) -> None:
    text = path.read_text("utf-8")
    if "\0" in text or not text.strip():
        raise ValueError("it is empty" if not text.strip() else "it is not text")
    rows = list(csv.reader(text.splitlines()))
    missing = {"server_name", "rate_limit"} - set(rows[0])
    if missing:
        raise ValueError(f"it has no column {sorted(missing)[0]!r}")
    short = next((number for number, row in enumerate(rows, 1) if row and len(row) < len(rows[0])), None)
    if short is not None:
        raise ValueError(f"line {short} is not whole")


def _is_table(path: Path) -> None:
    pq.read_table(path)


def _has_groups(path: Path, count: int) -> None:
    with pq.ParquetFile(path) as file:
        if file.num_row_groups < count:
            raise ValueError(f"{file.num_row_groups} of its {count} parts are left")
