"""The run folder of a world as the partition stage leaves it, without DuckDB: 0.1 s a world would be too much."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, POOLED, URL_SCHEMA
from tests.simulation.world import World

FILE = "rows-00000.parquet"
_Line = tuple[str, str, str, str | None]


def row_uuid(row: int, copy: int) -> str:
    """Name of an input row."""
    return f"{row}.{copy}"


def write_list(world: World, layout: RunLayout) -> None:
    """Rows sorted by server and identifier, cut into batches; small servers share theirs."""
    layout.urls.mkdir(parents=True)
    batches: list[tuple[str, int, list[_Line]]] = []
    pool: list[_Line] = []
    for name, lines in _by_server(world).items():
        if len(lines) < world.pool_below:
            pool.extend(lines)
        else:
            batches.extend(_cut(name, lines, world.batch_rows))
    batches.extend(_cut(POOLED, pool, world.batch_rows))
    with pq.ParquetWriter(layout.urls / FILE, URL_SCHEMA) as writer:
        for _, _, lines in batches:
            writer.write_table(_table(lines))
    index = [
        (number, server, partition, FILE, number, len(lines), len({line[2] for line in lines}))
        for number, (server, partition, lines) in enumerate(batches)
    ]
    columns = [
        pa.array(column, field.type) for column, field in zip(zip(*index, strict=True), BATCH_SCHEMA, strict=True)
    ]
    pq.write_table(pa.table(columns, schema=BATCH_SCHEMA), layout.batches_table)


def _by_server(world: World) -> dict[str, list[_Line]]:
    lines: list[_Line] = []
    for number, row in enumerate(world.rows):
        url, server, mirror = world.url(number), world.servers[row.server].name, world.mirror_url(number)
        lines.extend((row_uuid(number, copy), url, server, mirror) for copy in range(row.copies))
    by_server: dict[str, list[_Line]] = {}
    for line in sorted(lines, key=lambda line: (line[2], line[1], line[0])):
        by_server.setdefault(line[2], []).append(line)
    return by_server


def _cut(server: str, lines: Sequence[_Line], most: int) -> list[tuple[str, int, list[_Line]]]:
    """Batches of about so many rows; equal URLs are never split."""
    batches: list[list[_Line]] = []
    for line in lines:
        if not batches or (len(batches[-1]) >= most and batches[-1][-1][1] != line[1]):
            batches.append([])
        batches[-1].append(line)
    return [(server, number, batch) for number, batch in enumerate(batches)]


def _table(lines: Sequence[_Line]) -> pa.Table:
    uuids, urls, servers, mirrors = zip(*lines, strict=True)
    given = {
        "uuid": list(uuids),
        "identifier": list(urls),
        "server_name": list(servers),
        "is_license_full": [False] * len(lines),
        "mirrors": [[mirror] if mirror else None for mirror in mirrors],
    }
    arrays = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(len(lines), field.type)
        for field in URL_SCHEMA
    ]
    return pa.table(arrays, schema=URL_SCHEMA)
