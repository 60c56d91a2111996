"""`near_duplicates`: lists images that look like another one: their 64-bit perceptual hashes differ in few bits.

Each image is hashed, unless the run stored hashes (`image.extra_columns=[phash]`). Equality joins find the close pairs
(`hamming.py`), and pairs that share an image form a group. One image of a group is kept: first by full licence
information, then by size, then by uuid. `distance` is the distance to that image; in a chain of pairs it may be more
than `max_distance`. Rotated or mirrored images are not found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ray_downloader.errors import UserError
from ray_downloader.image import ImageError, ImageOptions
from ray_downloader.image.stored import StoredImage, reprocess
from ray_downloader.output.parquet import write_parquet
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.sql import file_list
from ray_downloader.tools.base import TOOLS, Step, Unit, unit_of_each_batch
from ray_downloader.tools.builtin.hamming import masks
from ray_downloader.tools.context import StoredBatch
from ray_downloader.tools.dropping import DroppingTool
from ray_downloader.tools.queries import images_database, write_csv
from ray_downloader.tools.rows import Chunk, chunks_of

_HASHES = "hashes"
_FILE = "hashes.parquet"
_SCHEMA = pa.schema(
    [("server_name", pa.string()), ("partition_id", pa.int32()), ("row", pa.int64()), ("phash", pa.int64())]
)
_OPTIONS = ImageOptions(encode="original", resize="none", extra_columns=("phash",))

_ORDER = """(NOT coalesce(is_license_full, false), -(original_size[1]::BIGINT * original_size[2]), uuid, server_name,
    partition_id, row)"""
#: Images have a column `phash`, too, where the run stored it.
_GROUPED = f"""
CREATE TEMP TABLE grouped AS
SELECT uuid, source_id, server_name, partition_id, row, hashes.phash, {_ORDER} AS place,
    coalesce(member, hashes.phash) AS member
FROM images JOIN hashes USING (server_name, partition_id, row) LEFT JOIN members ON members.phash = hashes.phash
"""
_ROWS = """
SELECT uuid, source_id, server_name, partition_id, row, main.uuid AS uuid_main, main.server AS server_name_main,
    main.partition AS partition_id_main, main.row AS row_main, bit_count(xor(phash, main.phash)) AS distance
FROM grouped JOIN (
    SELECT member, arg_min({'uuid': uuid, 'server': server_name, 'partition': partition_id, 'row': row, 'phash': phash},
        place) AS main
    FROM grouped GROUP BY member HAVING count(*) > 1) USING (member)
WHERE (server_name, partition_id, row) IS DISTINCT FROM (main.server, main.partition, main.row)
ORDER BY server_name, partition_id, row
"""


@TOOLS.register("near_duplicates")
class NearDuplicates(DroppingTool):
    """Finds rows that look like another one."""

    def work(self) -> Step:
        """Hash each image.

        Raises:
            UserError: ImageHash is not installed.
        """
        if find_spec("imagehash") is None:
            raise UserError("tool=near_duplicates needs ImageHash: pip install 'ray-downloader[phash]'")
        return Step(_hash_batch, unit_of_each_batch(self.context, _HASHES, {}))

    def name_rows(self) -> Mapping[str, Any]:
        """Group what is close."""
        distance = self.context.parameters.max_distance
        files = [self.context.folder / _HASHES / batch.place / _FILE for batch in self.context.batches]
        with images_database(self.context.folder, self.context.batches) as connection:
            connection.execute(
                f"CREATE TEMP TABLE hashes AS SELECT * FROM read_parquet({file_list(files)}, hive_partitioning = false)"
            )
            pairs = _close_pairs(connection, distance)
            connection.register("members", _members(pairs))
            connection.execute(_GROUPED)
            rows = write_csv(connection, _ROWS, self.rows_file)
        return {"max_distance": distance, "near_duplicates": rows}


def _close_pairs(connection: duckdb.DuckDBPyConnection, distance: int) -> pa.Table:
    """Pairs of distinct hashes at most `distance` apart."""
    connection.execute("CREATE TEMP TABLE distinct_hashes AS SELECT DISTINCT phash FROM hashes WHERE phash IS NOT NULL")
    (count,) = connection.execute("SELECT count(*) FROM distinct_hashes").fetchall()[0]
    connection.execute("CREATE TEMP TABLE pairs (a BIGINT, b BIGINT)")
    for mask in masks(distance, count) if distance else ():
        connection.execute(
            f"INSERT INTO pairs SELECT a.phash, b.phash FROM distinct_hashes a JOIN distinct_hashes b"
            f" ON (a.phash & {mask}::BIGINT) = (b.phash & {mask}::BIGINT)"
            f" WHERE a.phash < b.phash AND bit_count(xor(a.phash, b.phash)) <= {distance}"
        )
    return connection.sql("SELECT DISTINCT a, b FROM pairs").to_arrow_table()


def _members(pairs: pa.Table) -> pa.Table:
    """For each hash in a pair, one hash that represents all those connected with it."""
    from scipy.sparse import coo_array  # noqa: PLC0415 (installed with ImageHash, an extra)
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    ends = np.concatenate([pairs.column("a").to_numpy(), pairs.column("b").to_numpy()])
    hashes, numbers = np.unique(ends, return_inverse=True)
    a, b = numbers[: len(pairs)], numbers[len(pairs) :]
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (a, b)), shape=(len(hashes), len(hashes)))
    _, groups = connected_components(graph, directed=False)
    first = np.full(groups.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, groups, hashes)
    return pa.table({"phash": pa.array(hashes, pa.int64()), "member": pa.array(first[groups], pa.int64())})


def _hash_batch(unit: Unit) -> Counter[str]:
    counts: Counter[str] = Counter()
    with replacing(unit.folder / _FILE) as temp:
        write_parquet(temp, _SCHEMA, _hashed(unit.batches[0], counts))
    return counts


def _hashed(batch: StoredBatch, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
    for chunk in chunks_of(batch.path):
        values = _hashes(chunk)
        counts.update(hashed=sum(value is not None for value in values), not_readable=values.count(None))
        rows = range(chunk.start, chunk.start + len(values))
        columns = [[batch.server_name] * len(values), [batch.partition_id] * len(values), rows, values]
        yield pa.record_batch(columns, schema=_SCHEMA)


def _hashes(chunk: Chunk) -> list[int | None]:
    known = chunk.texts("phash", "")
    return [_signed(text) if text else _hash(stored) for text, stored in zip(known, chunk.images(), strict=True)]


def _hash(stored: StoredImage) -> int | None:
    try:
        text = reprocess(stored, _OPTIONS).extra["phash"]
    except ImageError:
        return None
    return _signed(text) if text else None


def _signed(text: str) -> int:
    """16 hex digits as a signed number, which Arrow and DuckDB store in 64 bits."""
    return int.from_bytes(bytes.fromhex(text), "big", signed=True)
