"""Looks at the small files of a run folder before a run relies on them.

A damaged file is named, set aside under `damaged-<name>` for whoever wants to look at it, and made anew: by its stage,
or by what the run learns again. After that nothing can tell it from a file that never was.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import RunFolderError
from ray_downloader.partition.summary import load_partition_summary, read_partition_summary
from ray_downloader.run_folder.atomic import set_aside
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.instants import SAVED_AT
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import damaged_lines
from ray_downloader.run_folder.shapes import read_progress, read_summary
from ray_downloader.run_folder.small_json import read_object
from ray_downloader.run_folder.small_tables import opened, require_all_rows


def set_files_aside(layout: RunLayout) -> list[str]:
    """Set aside what is not a folder where one belongs; a sentence about each.

    Raises:
        RunFolderError: It is a link to a folder that is not there now, as on a disk that is not mounted.
    """
    folders = (layout.urls, layout.schedules, layout.robots, layout.logs, layout.images, layout.tools, layout.manifests)
    for path in folders:
        _require_target(path)
    wrong = [path for path in folders if not path.is_dir() and os.path.lexists(path)]
    return [f"{path} is not a folder, so it is damaged; it is {set_aside(path)} now" for path in wrong]


def _require_target(path: Path) -> None:
    if path.is_symlink():
        try:
            path.stat()
        except FileNotFoundError:
            raise RunFolderError(
                f"{path} is a link to {path.readlink()}, which is not there: mount its disk or remove the link, and "
                "the same command continues"
            ) from None
        except OSError as error:  # a link to itself is damaged
            require_damage(error, path)


def set_damaged_aside(layout: RunLayout) -> Iterator[str]:
    """Set aside what is damaged, apart from the tables of URLs; a sentence about each."""
    for path, check, consequence in _checks(layout):
        problem = _problem(path, check)
        if problem:
            set_aside(path)
            yield f"{path} is damaged ({problem}): {consequence}"
    for path in (layout.orders_file, layout.server_changes_file):
        if os.path.lexists(path) and not path.is_file():
            yield f"{path} is damaged (it is not a file): it is {set_aside(path)} now"
    bad = damaged_lines(layout.orders_file)
    if bad:
        lines = ", ".join(map(str, bad[:5])) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        yield f"{layout.orders_file} is damaged (line {lines}): these orders are left out, the others apply"


def damaged_url_tables(layout: RunLayout) -> Iterator[str]:
    """What is wrong with the tables of URLs, in sentences; only their ends are read."""
    if not layout.batches_table.exists():
        return
    tables = {layout.batches_table: _KEYS, layout.servers_table: ["server_name", "rows"]}
    checks: dict[Path, Check] = {
        layout.partition_summary_file: read_partition_summary,
        **{path: partial(_has_columns, columns=columns) for path, columns in tables.items()},
        layout.rejected_table: partial(_has_columns, columns=["reason"]),
    }
    problems = list(_problems_with(checks))
    if problems:
        yield from problems
        return
    index = pq.read_table(layout.batches_table, columns=_KEYS)
    yield from _disagreements(layout, index)
    groups: dict[str, dict[int, int]] = {}
    for name, group, rows in zip(*(index[key].to_pylist() for key in ("file", "row_group", "rows")), strict=True):
        groups.setdefault(name, {})[group] = rows
    yield from _problems_with({layout.urls / name: partial(_has_groups, groups=groups[name]) for name in groups})


def _problems_with(checks: Mapping[Path, Check]) -> Iterator[str]:
    for path, check in checks.items():
        problem = _problem(path, check) if path.exists() else "it is missing"
        if problem:
            yield f"{path} is damaged ({problem})"


def _disagreements(layout: RunLayout, index: pa.Table) -> Iterator[str]:
    """What the tables of URLs, each of which can be read, say differently about one thing."""
    counted = load_partition_summary(layout)
    rows, rejected = sum(index["rows"].to_pylist()), pq.read_metadata(layout.rejected_table).num_rows
    folders = set(zip(index["server_name"].to_pylist(), index["partition_id"].to_pylist(), strict=True))
    if (rows, len(folders)) != (counted.accepted_rows, index.num_rows):
        yield f"{layout.batches_table} is damaged ({rows} rows in {len(folders)} batches, not {counted.accepted_rows})"
    elif rejected != counted.input_rows - rows:
        yield f"{layout.rejected_table} is damaged ({rejected} rows, not {counted.input_rows - rows})"


Check = Callable[[Path], object]
#: What every version's index of batches has.
_KEYS = ["server_name", "partition_id", "file", "row_group", "rows"]


def _checks(layout: RunLayout) -> list[tuple[Path, Check, str]]:
    anew = "it is written anew"
    return [
        (layout.settings_file, read_object, anew),
        (layout.run_file, read_object, "the list is compared with the rows of the run"),
        (layout.checkpoint_file, read_object, anew),
        (layout.progress_file, read_progress, anew),
        (layout.summary_file, read_summary, anew),
        (layout.reset_file, read_object, "it only tells a requeued job that it was reset before"),
        (layout.retry_order_file, read_object, "errors are retried only if retry_errors is given again"),
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
    except OSError as error:
        require_damage(error, path)
        return error.strerror or str(error)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, pa.ArrowException) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""


def _is_states(path: Path) -> None:
    for name, state in read_object(path).items():
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


def _has_columns(path: Path, columns: Sequence[str]) -> None:
    with opened(path) as file:
        require_all_rows(file)
        table = file.read()
    missing = sorted(set(columns) - set(table.schema.names))
    if missing:
        raise ValueError(f"it has no column {missing[0]!r}")


def _has_groups(path: Path, groups: Mapping[int, int]) -> None:
    """Whether each part of a file has its rows."""
    with opened(path) as file:
        if file.num_row_groups <= max(groups):
            raise ValueError(f"{file.num_row_groups} of its {max(groups) + 1} parts are left")
        for group, rows in groups.items():
            found = file.metadata.row_group(group).num_rows
            if found != rows:
                raise ValueError(f"part {group} has {found} rows, not {rows}")
