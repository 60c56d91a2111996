"""`images/README.md`: the data card of a run, whose header tells `datasets` which files to read and as what.

With it `load_dataset("out/images")` shows pictures: the header names the files with images, which lie among those with
errors, and the type of each column, which a column of bytes does not show.

`datasets` keeps what it has read by the folder's name and its header, not by the files. So the header says which
pictures there are: else a run that has grown, or another one, would be shown as the one that was read first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ray_downloader.config.settings import Settings
from ray_downloader.output.parquet import PICTURES
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.base_runs import stored_columns
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import finished_folders, read_marker
from ray_downloader.run_folder.schemas import POOLED, RAW, SERVER_NAME, kept_names, success_schema

CARD = "README.md"
#: The files with images, seen from the folder `images/`.
DATA_FILES = f"*/*/{SUCCESSES}"
_SHOWN_SERVERS = 20

#: Of `datasets` 5.2: `Instruction "train" corresponds to no data!` for files without rows, too.
_EMPTY = "`load_dataset` cannot read a folder without any image, and can once there is one."

_READERS = """\
```python
load_dataset("images")  # of the package datasets
duckdb.read_parquet("images/*/*/successes.parquet", union_by_name=True)
polars.scan_parquet("images/*/*/successes.parquet", extra_columns="ignore", missing_columns="insert")
pandas.read_parquet(glob("images/*/*/successes.parquet"))  # pyarrow.dataset, Daft and Spark alike
ray.data.read_parquet(glob("images/*/*/successes.parquet"), partitioning=None)
```
"""


def write_data_card(layout: RunLayout, settings: Settings, summary: Mapping[str, Any]) -> None:
    """Write the card of a run that has partitioned its list."""
    if layout.images.is_dir():
        schema = success_schema(kept_in_run(layout), stored_columns(settings))
        folders = list(finished_folders(layout.images, "server_name=*/partition_id=*"))
        version = version_of(folders, [_size_bytes(folder / SUCCESSES) for folder in folders])
        write_text(layout.images / CARD, data_card(schema, settings.image.encode, summary, version))


def begin_data_card(layout: RunLayout, settings: Settings, input_rows: int, rejected_rows: int) -> None:
    """Write a first card, with which a run that is under way, or was killed, can be read as well."""
    if not (layout.images / CARD).exists():
        layout.images.mkdir(parents=True, exist_ok=True)
        rows = {"input": input_rows, "rejected": rejected_rows, "successes": 0, "errors": 0}
        write_data_card(layout, settings, {"rows": rows, "servers": {}})


def version_of(folders: Iterable[Path], sizes_bytes: Sequence[int] = ()) -> str:
    """Names what finished folders hold, by the checksums in their markers.

    Args:
        folders: The folders.
        sizes_bytes: Those of their tables: a marker knows several versions of a table that a tool has replaced.
    """
    digest = hashlib.sha256(repr(list(sizes_bytes)).encode())
    for folder in folders:
        digest.update(f"{folder.parent.name}/{folder.name}: {read_marker(folder)}\n".encode())
    return digest.hexdigest()[:16]


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def kept_in_run(layout: RunLayout) -> list[str]:
    """The columns of `dataset.keep` that the run has."""
    urls = next(iter(sorted(layout.urls.glob("rows-*.parquet"))), None)
    return kept_names(pq.read_schema(urls)) if urls else []


def card_configs(data_files: str, version: str) -> list[dict[str, str]]:
    """The part of a card's header that names the files; `datasets` reads again what has another description."""
    return [{"config_name": "default", "data_files": data_files, "description": f"version {version}"}]


def data_card(schema: pa.Schema, encode: str, summary: Mapping[str, Any], version: str) -> str:
    """The card.

    Args:
        schema: The columns of `successes.parquet`.
        encode: How pictures are stored (`image.encode`).
        summary: `summary.json`.
        version: Names the pictures (`version_of`).
    """
    rows = summary["rows"]
    head = {
        "configs": card_configs(DATA_FILES, version),
        "dataset_info": {"features": [_feature(column, encode) for column in (*schema, SERVER_NAME)]},
        "tags": ["image", "ray_downloader"],
    }
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---",
        "",
        "# Images",
        "",
        f"{rows['successes']:,} images of {rows['input']:,} rows; {rows['errors']:,} rows have an error beside them"
        f" (`errors.parquet`), {rows['rejected']:,} were rejected (`urls/rejected.parquet`).",
        *([] if rows["successes"] else [_EMPTY]),
        f"Servers with few rows share the folder `server_name={POOLED}`, whose files have the server of each row.",
        "Each image has the licence and source of its row of the list, as far as that states them;",
        "`tool=attribution` lists whom to credit.",
        "",
        _READERS,
        "| server | images | errors |",
        "|---|---:|---:|",
        *_server_lines(summary["servers"]),
    ]
    return "\n".join(lines) + "\n"


def _feature(column: pa.Field, encode: str) -> dict[str, Any]:
    if column.name == PICTURES:
        return {"name": column.name, "dtype": "binary" if encode == RAW else "image"}
    if pa.types.is_list(column.type):
        return {"name": column.name, "sequence": str(column.type.value_type)}
    if pa.types.is_dictionary(column.type):
        return {"name": column.name, "dtype": str(column.type.value_type)}
    return {"name": column.name, "dtype": str(column.type)}


def _server_lines(servers: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    shown = list(servers.items())[:_SHOWN_SERVERS]
    lines = [f"| {server} | {counts['successes']:,} | {counts['errors']:,} |" for server, counts in shown]
    others = len(servers) - len(shown)
    return [*lines, f"| {others:,} more | | |"] if others else lines
