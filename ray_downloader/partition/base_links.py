"""The rows of a batch that earlier runs have, as `base_rows.py` found them. Needs pyarrow only."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ray_downloader.errors import DamagedFileError
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.layout import RunLayout


def first_rows(batches: Iterable[Batch]) -> list[int]:
    """How many rows the batches before each one have: a row is known by its number among those of all batches."""
    return list(accumulate((batch.rows for batch in batches), initial=0))[:-1]


def links_of(layout: RunLayout, first: int, rows: int) -> pa.Table:
    """The rows of one batch that earlier runs have: `number` in the batch, `file` and `row` there.

    Args:
        first: How many rows the batches before it have.
        rows: Its own number of rows.
    """
    within = [("number", ">=", first), ("number", "<", first + rows)]
    try:
        found = pq.read_table(layout.base_table, filters=within)
    except (pa.ArrowException, OSError) as error:
        require_damage(error, layout.base_table)
        raise DamagedFileError.of(layout.base_table, error) from None
    return found.set_column(0, "number", pc.subtract(found.column("number"), first))
