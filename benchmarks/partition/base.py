"""How long it takes to find out which rows of a list an earlier run has: `python -m benchmarks.partition.base`.

Both sides are made up: an earlier run of `--rows` rows, whose pictures are a few bytes, and its list a month later,
with 2 % new rows and 2 % fewer old ones. The whole is `mode=plan`: the partition of the list, and the comparison.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from ray_downloader.config.settings import Settings
from ray_downloader.partition import partition
from ray_downloader.partition.base_rows import plan_base
from ray_downloader.run_folder.base_runs import base_layouts
from ray_downloader.run_folder.identity import RunIdentity, picture_keys, save_identity
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.markers import write_marker

#: Rows of an earlier batch.
BATCH_ROWS = 10_000
_LIST_SQL = """
SELECT (4000000000 + n)::VARCHAR AS source_id, 'https://images-' || (n % {servers}) || '.museum.example/media/'
    || md5(n::VARCHAR) || '/' || n || '/original.jpg' AS identifier
FROM range({first}, {last}) AS numbers(n)
"""
_SUCCESSES_SQL = """
COPY (SELECT source_id AS uuid, source_id, identifier, true AS is_license_full, 'CC0' AS license, 'museum' AS source,
    'title' AS title, md5(identifier) AS hashsum_original, md5(identifier) AS hashsum_resized,
    [768, 1024]::UINTEGER[] AS original_size, [168, 224]::UINTEGER[] AS resized_size, 'picture'::BLOB AS image,
    'jpeg' AS image_format, 'jpeg' AS original_format, 0 AS retry_count, identifier AS final_url,
    md5(identifier) AS etag, NULL::VARCHAR AS usage
    FROM ({rows})) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 1000, COMPRESSION zstd)
"""


def make_earlier_run(settings: Settings, rows: int, servers: int) -> None:
    """A run folder with a table of successes per batch."""
    layout = RunLayout.of(settings)
    for number, first in enumerate(range(0, rows, BATCH_ROWS)):
        folder = layout.batch_folder(f"images-{number}.museum.example", 0)
        folder.mkdir(parents=True)
        part = _LIST_SQL.format(servers=servers, first=first, last=min(rows, first + BATCH_ROWS))
        duckdb.sql(_SUCCESSES_SQL.format(rows=part, path=folder / "successes.parquet"))
        write_marker(folder, "{}\n")
    layout.settings_file.write_text(settings.to_json())
    save_identity(layout, RunIdentity(pictures=picture_keys(settings)))


def main() -> None:
    """Make both, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--servers", type=int, default=545)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/base_benchmark"))
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    old, new, few = given.folder / "old", given.folder / "new", given.rows // 50
    path = given.folder / "list.parquet"
    duckdb.sql(_LIST_SQL.format(servers=given.servers, first=few, last=given.rows + few)).write_parquet(str(path))
    make_earlier_run(Settings.from_config({"path_to_input": "x", "path_to_output": old}), given.rows, given.servers)
    settings = Settings.from_config({"path_to_input": str(path), "path_to_output": new, "base": str(old)})
    layout = RunLayout.of(settings)
    started_s, cpu_s = time.monotonic(), time.process_time()
    partition(settings, layout, lambda _: None)
    partitioned_s, partition_cpu_s = time.monotonic() - started_s, time.process_time() - cpu_s
    started_s, cpu_s = time.monotonic(), time.process_time()
    plan = plan_base(settings, layout, base_layouts(settings))
    figures = {
        "rows": given.rows, "linked": plan.total, "vanished": plan.vanished,
        "partition_s": round(partitioned_s, 1), "partition_cpu_s": round(partition_cpu_s, 1),
        "base_s": round(time.monotonic() - started_s, 1), "base_cpu_s": round(time.process_time() - cpu_s, 1),
        "peak_rss_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "table_mb": round(layout.base_table.stat().st_size / 1e6, 1),
        "table_rows": pq.read_metadata(layout.base_table).num_rows,
    }  # fmt: skip
    print(json.dumps(figures))
    shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
